; late-fetch: as in ifetch.s, but fetched text takes eight cycles to the buffer.
; A block is two vectors, 32 bytes here. The text of mem.e0: nop (3 bytes), ifetch (2), twelve reads (4 each), sync (1).
; The first block ends within the seventh read, which issues in 12; the second comes from mem.e4 past mem.e0 in 4 and 5
; and is in the buffer in 13.
.machine superlanes = 1
.machine icu_buffer_blocks = 2
.machine icu_fetch_cycles = 8
.text mem.e0 mem.e4 10
.data mem.e0 0 fill 1
.data mem.e0 1 fill 2
.data mem.e0 2 fill 3
.data mem.e0 3 fill 4
.data mem.e0 4 fill 5
.data mem.e0 5 fill 6
.data mem.e0 6 fill 7
.data mem.e0 7 fill 8
.data mem.e0 8 fill 9
.data mem.e0 9 fill 10
.data mem.e0 10 fill 11
.data mem.e0 11 fill 12
.queue mem.e0
nop 4
ifetch w9
read 0, e0
read 1, e0
read 2, e0
read 3, e0
read 4, e0
read 5, e0
read 6, e0
read 7, e0
read 8, e0
read 9, e0
read 10, e0
read 11, e0
sync
.queue mem.e4
nop 2
read 10, w9
read 11, w9
sync
.queue mem.e8
nop 9
write 0, e0
repeat 11, 1, 1
sync
.expect fault late-fetch cycle 12 queue mem.e0
