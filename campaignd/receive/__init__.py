"""Mail that comes back: bounces, complaints and unsubscribes become events and suppressions.

What arrives is written by strangers. Reading it (`content`, `bounce`, `complaint`, `judge`) is
pure, and its time and memory are bounded whatever it is; only `service` and `session` do I/O.
"""
