; range: lane 16 of 16.
.machine superlanes = 1
.data2 mem.e40 0 i16 list 0 1 2 16
.queue mem.e40
read 0, e0
sync
.queue mem.e41
read 0, e1
sync
.queue sxm.e.permute
nop 6
permute e0, w0, e0
sync
.expect fault range cycle 6 queue sxm.e.permute
