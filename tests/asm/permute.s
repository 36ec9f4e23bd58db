; permute: lanes of the whole vector, here reversed; the map is 16 bits a lane. Three cycles, then on its way:
; at the SXM (42) in 6, result in 9, at mem.e36 in 15.
.machine superlanes = 3
.data mem.e40 0 iota 100 1
.data2 mem.e41 0 i16 iota 47 -1
.queue mem.e40
read 0, e0
sync
.queue mem.e41
read 0, e2
sync
.queue mem.e42
read 0, e3
sync
.queue sxm.e.permute
nop 6
permute e0, w0, e2
sync
.queue mem.e36
nop 15
write 0, w0
sync
.expect mem.e36 0 iota 147 -1
.expect cycles 17
