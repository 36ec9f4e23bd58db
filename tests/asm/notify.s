; Notify to Sync takes 35 cycles: issued in 0, the parked queue issues its next word in 35.
; A value read in 35 is at the slice in 36 and one position on in 37.
.machine superlanes = 1
.data mem.e0 0 iota 3 1
.queue mem.w0
notify
sync
.queue mem.e0
sync
read 0, e0
sync
.queue mem.e4
nop 37
write 0, e0
sync
.expect mem.e4 0 iota 3 1
.expect cycles 39
