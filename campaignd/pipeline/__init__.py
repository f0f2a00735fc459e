"""From leased shards to recorded facts: the delivery protocol and the stages that carry it out.

`protocol` decides and does no I/O; `run` carries out its decisions for one shard; `scheduler`
says which shards this host works on; `turns` bounds what is claimed and not yet recorded.
"""
