; select: between a vector shifted up and the same shifted down, lane by lane; 255 gives zero. Shifted
; in 6, the vectors leave westward: both are stored (14) and read again (17); at the SXM in 24, at mem.e38 in 32.
.machine superlanes = 1
.data mem.e40 0 iota 100 1
.data mem.e41 0 bytes 1 1 1 0 0 0 255 0 1 0 1 0 1 0 1 0
.queue mem.e40
read 0, e0
sync
.queue mem.e41
nop 18
read 0, e4
sync
.queue sxm.e.shift0
nop 6
shiftup e0, w0, 1
nop 17
select e1, e2, w2, e4
sync
.queue sxm.e.shift1
nop 6
shiftdown e0, w1, 1
sync
.queue mem.e36
nop 14
write 0, w0
nop 2
read 0, e1
sync
.queue mem.e37
nop 14
write 0, w1
nop 2
read 0, e2
sync
.queue mem.e38
nop 32
write 0, w2
sync
.expect mem.e38 0 bytes 101 102 103 102 103 104 0 106 109 108 111 110 113 112 115 114
.expect cycles 34
