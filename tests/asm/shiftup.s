; shiftup: towards higher lanes, across superlanes, zeros from below. Two cycles; at the SXM (42) in 6,
; result there in 8, at mem.e36 in 14. Both shifters work at once.
.machine superlanes = 2
.data mem.e40 0 iota 100 1
.queue mem.e40
read 0, e0
repeat 1, 1, 0
sync
.queue sxm.e.shift0
nop 6
shiftup e0, w0, 3
shiftup e0, w0, 17
sync
.queue sxm.e.shift1
nop 6
shiftup e0, w1, 0
sync
.queue mem.e36
nop 14
write 0, w0
repeat 1, 1, 1
sync
.queue mem.e37
nop 14
write 0, w1
sync
.expect mem.e36 0 bytes 0 0 0 100 101 102 103 104 105 106 107 108 109 110 111 112 113 114 115 116 117 118 119 120 121 122 123 124 125 126 127 128
.expect mem.e36 1 bytes 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 100 101 102 103 104 105 106 107 108 109 110 111 112 113 114
.expect mem.e37 0 iota 100 1
.expect cycles 17
