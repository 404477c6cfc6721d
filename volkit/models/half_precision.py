"""Half precision: whether a device computes in 16 bits, or makes believe."""

import torch


def is_emulated(precision: str, device: str) -> bool:
    """Tell whether a precision is emulated: its convolutions take 60 to 250 times those of float32.

    So it is on processors without the instructions, as x86 ones without AVX-512 are; oneDNN says.

    Parameters
    ----------
    precision : str
        ``float32``, ``bfloat16`` or ``float16``.
    device : str
        Of torch.

    Returns
    -------
    bool
        False as well where torch does not know.

    Examples
    --------
    >>> is_emulated("float32", "cpu"), is_emulated("bfloat16", "cuda:0")
    (False, False)
    """
    asked = {"bfloat16": "_is_mkldnn_bf16_supported", "float16": "_is_mkldnn_fp16_supported"}
    if precision not in asked or torch.device(device).type != "cpu":
        return False
    has = getattr(torch.ops.mkldnn, asked[precision], None)
    return has is not None and not has()
