; fetch: on a machine whose queues hold all of their text.
.machine superlanes = 1
.machine icu_buffer_blocks = 0
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
.expect fault fetch cycle 4 queue mem.e0
