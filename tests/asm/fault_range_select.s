; range: lane 2 asks for a third operand.
.machine superlanes = 1
.data mem.e41 0 bytes 0 1 2
.queue mem.e40
read 0, e0
sync
.queue mem.e41
read 0, e1
sync
.queue sxm.e.shift0
nop 6
select e0, e0, w0, e1
sync
.expect fault range cycle 6 queue sxm.e.shift0
