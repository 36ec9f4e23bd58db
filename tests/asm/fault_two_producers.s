; two-producers: two slices of one position put a value on one stream in cycle 1.
.machine superlanes = 1
.queue mem.e0
read 0, e0
sync
.queue mem.e1
read 0, e0
sync
.expect fault two-producers cycle 1 queue mem.e1
