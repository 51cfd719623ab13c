"""How tensors.safetensors was made: by safetensors 0.8.0, from these arrays.

    python tests/golden/make_safetensors.py

There is a tensor of each dtype that NumPy and safetensors share, an empty tensor and a scalar.  The
numbers include the ends of their ranges, and a name has characters that JSON must escape.  The
metadata has one entry, because safetensors writes several entries in random order.
"""
from pathlib import Path

import numpy as np

TENSORS = {
    "vectors": np.array([[1 / 3, -0.0, 3.4028235e38], [1e-45, 16777216, -2]], np.float32),
    "double": np.array([1 / 3, 5e-324, -1.7976931348623157e308]),
    "half": np.array([[[0.333], [65504]]], np.float16),
    "encoder.layer.0.weight": np.zeros((0, 5), np.float32),
    "log_scale": np.array(2.6592, np.float32),
    "i64": np.array([-2**63, 2**63 - 1]),
    "u64": np.array([0, 2**64 - 1], np.uint64),
    "i32": np.array([-2**31, 2**31 - 1], np.int32),
    "u32": np.array([0, 2**32 - 1], np.uint32),
    "i16": np.array([-2**15, 2**15 - 1, 7], np.int16),
    "u16": np.array([0, 2**16 - 1], np.uint16),
    "i8": np.array([-128, 127, 1], np.int8),
    "u8": np.array([0, 255], np.uint8),
    "mask": np.array([[True, False], [False, True]]),
    'a "quoted\\name"\n日本 🙂\x7f\x1f': np.array([1], np.uint8),
}
METADATA = {"format": 'np "1"\té'}


def main():
    from safetensors.numpy import save_file
    save_file(TENSORS, Path(__file__).with_name("tensors.safetensors"), METADATA)


if __name__ == "__main__":
    main()
