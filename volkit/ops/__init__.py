"""Operations: kernels composed over a domain, written once for both engines."""
