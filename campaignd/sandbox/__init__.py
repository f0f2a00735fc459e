"""Private MariaDB, Redis and SMTP servers for the demo, the tests and the benchmarks.

They run in a folder of their own, on Unix sockets or on free ports of 127.0.0.1, and end with
the process that started them, however that ends. A system instance, its configuration and its
data are never read or touched. Linux only (pidfd, parent death signal).

`box.Sandbox` is MariaDB and Redis; `sink.Sink` is the SMTP sink within an event loop and
`sinkprocess.SinkProcess` the same as a process of its own. The production paths of campaignd
never import this package.
"""
