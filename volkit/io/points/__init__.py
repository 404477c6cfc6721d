"""Points: tables of particles, in the formats of those who make and use them."""
