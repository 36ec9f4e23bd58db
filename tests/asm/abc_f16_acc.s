; Sums of both halves in fp16 accumulators: exact until they leave, so terms of 2^32 cancel and 2^-40 remain.
; Two accumulators of different vectors.
.machine superlanes = 1
.data2 mem.e12 0 i16 list 31743 31743 31743 31743 31743 31743 31743 31743 29322 -23184 30080 4906 20008 -19205 5281 20394
.data2 mem.e14 0 i16 list -32037 494 -32048 -32260 -32641 1012 715 -32476 4401 14144 -22461 19667 16042 -2014 -20507 1826
.data2 mem.e16 0 i16 list 488 781 192 813 -32192 -32360 663 -31806 18077 -24439 24594 -15828 -28385 -25087 12163 24141
.data2 mem.e18 0 i16 list -32582 407 20 -32390 796 -32119 -32713 -32129 7817 28735 -17025 10593 -6670 -31803 23757 -31010
.data2 mem.e20 0 i16 list -31984 -31793 817 -32643 -32468 853 -32727 423 -9782 12316 27388 9496 -2277 23112 26084 12390
.data2 mem.e22 0 i16 list 586 55 -32040 846 29 480 -32691 -32588 24253 12960 3178 1086 6632 1292 -3629 -17007
.data2 mem.e24 0 i16 list -32153 -32049 427 -32580 247 -32068 867 -32762 -27700 5211 -20492 -20131 28847 -27784 8325 -23678
.data2 mem.e26 0 i16 list 799 -32404 -32344 658 663 765 204 601 22535 22079 -17311 30979 -28905 21907 9538 22100
.data2 mem.e28 0 i16 list -1025 -1025 -1025 -1025 -1025 -1025 -1025 -1025 22299 6044 11844 -30577 23525 -27416 7881 22026
.data2 mem.e30 0 i16 list -32220 -32609 342 -31923 379 -32640 833 472 -31678 -5390 -5333 18520 30785 23479 -25003 26319
.data2 mem.e32 0 i16 list -31779 500 856 -32596 677 863 305 -32163 14610 20987 28674 -1634 6373 -9971 20989 -26606
.data2 mem.e34 0 i16 list 376 389 -32559 -32092 156 992 149 -32381 570 17682 15942 -14044 -20427 20483 23777 -2851
.data2 mem.e36 0 i16 list -31810 -31982 -32299 -31792 206 -32372 320 190 26851 10252 -28515 2686 -24745 -30005 -18722 -13862
.data2 mem.e38 0 i16 list 311 -32554 -31865 -32107 -32394 211 -32558 132 -18987 10286 -8117 18221 29363 -11335 24894 18832
.data2 mem.e40 0 i16 list 422 766 -31829 171 -31943 954 11 766 -20238 4267 2160 5549 8604 22147 9355 -30687
.data2 mem.e42 0 i16 list 6 -31988 -32067 147 606 -32529 -31787 -32043 20054 -25196 14054 11875 10825 407 -13618 27096
.data2 mem.e8 0 i16 list 31743 -31168 1160 -32043 3343 3542 1948 -30548 31743 3912 -29604 3706 685 134 -29015 642
.data2 mem.e8 1 i16 list 31743 351 -32258 112 -32704 225 75 -32670 31743 -32584 250 -32636 144 -32512 -32376 223
.queue mem.e12
nop 5
read 0, e0
sync
.queue mem.e13
nop 5
read 0, e16
sync
.queue mem.e14
nop 5
read 0, e1
sync
.queue mem.e15
nop 5
read 0, e17
sync
.queue mem.e16
nop 6
read 0, e2
sync
.queue mem.e17
nop 6
read 0, e18
sync
.queue mem.e18
nop 6
read 0, e3
sync
.queue mem.e19
nop 6
read 0, e19
sync
.queue mem.e20
nop 7
read 0, e4
sync
.queue mem.e21
nop 7
read 0, e20
sync
.queue mem.e22
nop 7
read 0, e5
sync
.queue mem.e23
nop 7
read 0, e21
sync
.queue mem.e24
nop 8
read 0, e6
sync
.queue mem.e25
nop 8
read 0, e22
sync
.queue mem.e26
nop 8
read 0, e7
sync
.queue mem.e27
nop 8
read 0, e23
sync
.queue mem.e28
nop 9
read 0, e8
sync
.queue mem.e29
nop 9
read 0, e24
sync
.queue mem.e30
nop 9
read 0, e9
sync
.queue mem.e31
nop 9
read 0, e25
sync
.queue mem.e32
nop 10
read 0, e10
sync
.queue mem.e33
nop 10
read 0, e26
sync
.queue mem.e34
nop 10
read 0, e11
sync
.queue mem.e35
nop 10
read 0, e27
sync
.queue mem.e36
nop 11
read 0, e12
sync
.queue mem.e37
nop 11
read 0, e28
sync
.queue mem.e38
nop 11
read 0, e13
sync
.queue mem.e39
nop 11
read 0, e29
sync
.queue mem.e40
nop 12
read 0, e14
sync
.queue mem.e41
nop 12
read 0, e30
sync
.queue mem.e42
nop 12
read 0, e15
sync
.queue mem.e43
nop 12
read 0, e31
sync
.queue mxm.e0.weights
nop 20
lw 0, e0
iw
sync
.queue mxm.e1.weights
nop 20
lw 0, e16
iw
sync
.queue mem.e8
nop 6
read 0, e0
read 1, e0
read 0, e0
read 1, e0
sync
.queue mem.e9
nop 6
read 0, e1
read 1, e1
read 0, e1
read 1, e1
sync
.queue mxm.e0.activations
nop 22
abc.f16 0, e0
abc.f16 0, e0
abc.f16 1, e0
abc.f16 1, e0
sync
.queue mxm.e0.results
nop 54
acc.set 7
acc.set 6
acc.out 7, w0
acc.out 6, w0
sync
.queue mem.e0
nop 74
write 0, w0
write 1, w0
sync
.queue mem.e1
nop 74
write 0, w1
write 1, w1
sync
.queue mem.e2
nop 74
write 0, w2
write 1, w2
sync
.queue mem.e3
nop 74
write 0, w3
write 1, w3
sync
.expect4 mem.e0 0 i32 list -1307155512 -1287673359 850745014 -1293929332 844141544 -1306375556 849895010 -1307380940 1314057311 -996215925 1320151602 1113210159 1267371696 -962600397 1140601108 1258188832
.expect4 mem.e0 1 i32 list -1317046304 -1324948448 796305920 -1331957280 829382640 -1370393600 -1333123904 -1327273184 1314057311 -996232949 1320151602 1111293072 1267371692 -962598289 1140715961 1258188846
.expect cycles 77
