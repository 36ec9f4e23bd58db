; transpose: within a superlane, lane j of result i is lane i of operand j.
; Vectors arrive in 9, leave four cycles later, and are back at slices 12..27 in 25..22.
.machine superlanes = 1
.data mem.e28 0 iota 0 1
.data mem.e29 0 iota 16 1
.data mem.e30 0 iota 32 1
.data mem.e31 0 iota 48 1
.data mem.e32 0 iota 64 1
.data mem.e33 0 iota 80 1
.data mem.e34 0 iota 96 1
.data mem.e35 0 iota 112 1
.data mem.e36 0 iota 128 1
.data mem.e37 0 iota 144 1
.data mem.e38 0 iota 160 1
.data mem.e39 0 iota 176 1
.data mem.e40 0 iota 192 1
.data mem.e41 0 iota 208 1
.data mem.e42 0 iota 224 1
.data mem.e43 0 iota 240 1
.queue mem.e28
read 0, e0
sync
.queue mem.e29
read 0, e1
sync
.queue mem.e30
read 0, e2
sync
.queue mem.e31
read 0, e3
sync
.queue mem.e32
nop 1
read 0, e4
sync
.queue mem.e33
nop 1
read 0, e5
sync
.queue mem.e34
nop 1
read 0, e6
sync
.queue mem.e35
nop 1
read 0, e7
sync
.queue mem.e36
nop 2
read 0, e8
sync
.queue mem.e37
nop 2
read 0, e9
sync
.queue mem.e38
nop 2
read 0, e10
sync
.queue mem.e39
nop 2
read 0, e11
sync
.queue mem.e40
nop 3
read 0, e12
sync
.queue mem.e41
nop 3
read 0, e13
sync
.queue mem.e42
nop 3
read 0, e14
sync
.queue mem.e43
nop 3
read 0, e15
sync
.queue sxm.e.transpose1
nop 9
transpose 65535, e0, w16
sync
.queue mem.e12
nop 25
write 0, w16
sync
.expect mem.e12 0 bytes 0 16 32 48 64 80 96 112 128 144 160 176 192 208 224 240
.queue mem.e13
nop 25
write 0, w17
sync
.expect mem.e13 0 bytes 1 17 33 49 65 81 97 113 129 145 161 177 193 209 225 241
.queue mem.e14
nop 25
write 0, w18
sync
.expect mem.e14 0 bytes 2 18 34 50 66 82 98 114 130 146 162 178 194 210 226 242
.queue mem.e15
nop 25
write 0, w19
sync
.expect mem.e15 0 bytes 3 19 35 51 67 83 99 115 131 147 163 179 195 211 227 243
.queue mem.e16
nop 24
write 0, w20
sync
.expect mem.e16 0 bytes 4 20 36 52 68 84 100 116 132 148 164 180 196 212 228 244
.queue mem.e17
nop 24
write 0, w21
sync
.expect mem.e17 0 bytes 5 21 37 53 69 85 101 117 133 149 165 181 197 213 229 245
.queue mem.e18
nop 24
write 0, w22
sync
.expect mem.e18 0 bytes 6 22 38 54 70 86 102 118 134 150 166 182 198 214 230 246
.queue mem.e19
nop 24
write 0, w23
sync
.expect mem.e19 0 bytes 7 23 39 55 71 87 103 119 135 151 167 183 199 215 231 247
.queue mem.e20
nop 23
write 0, w24
sync
.expect mem.e20 0 bytes 8 24 40 56 72 88 104 120 136 152 168 184 200 216 232 248
.queue mem.e21
nop 23
write 0, w25
sync
.expect mem.e21 0 bytes 9 25 41 57 73 89 105 121 137 153 169 185 201 217 233 249
.queue mem.e22
nop 23
write 0, w26
sync
.expect mem.e22 0 bytes 10 26 42 58 74 90 106 122 138 154 170 186 202 218 234 250
.queue mem.e23
nop 23
write 0, w27
sync
.expect mem.e23 0 bytes 11 27 43 59 75 91 107 123 139 155 171 187 203 219 235 251
.queue mem.e24
nop 22
write 0, w28
sync
.expect mem.e24 0 bytes 12 28 44 60 76 92 108 124 140 156 172 188 204 220 236 252
.queue mem.e25
nop 22
write 0, w29
sync
.expect mem.e25 0 bytes 13 29 45 61 77 93 109 125 141 157 173 189 205 221 237 253
.queue mem.e26
nop 22
write 0, w30
sync
.expect mem.e26 0 bytes 14 30 46 62 78 94 110 126 142 158 174 190 206 222 238 254
.queue mem.e27
nop 22
write 0, w31
sync
.expect mem.e27 0 bytes 15 31 47 63 79 95 111 127 143 159 175 191 207 223 239 255
.expect cycles 27
