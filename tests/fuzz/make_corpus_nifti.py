#!/usr/bin/env python3
"""Writes the seeds of tests/fuzz/corpus/nifti: one small file per kind of header; see fuzz_nifti.c for the two leading bytes."""
import gzip
import os
import struct

d = os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus/nifti/")
def n1(big=False,pair=False,dt=4,dims=(3,2,2),ext=0,**k):
    e='>' if big else '<'
    h=bytearray(348)
    def p(off,fmt,*v): struct.pack_into(e+fmt,h,off,*v)
    p(0,'i',348); p(40,'8h',len(dims),*(list(dims)+[1]*(7-len(dims)))); p(70,'h',dt); p(72,'h',16)
    p(76,'8f',1,1,1,2,1,1,1,1)
    p(108,'f',0 if pair else 352+ext)
    p(112,'f',2)
    p(116,'f',-1)
    p(252,'2h',1,1)
    p(256,'3f',0,0,1); p(280,'12f',-1,0,0,5, 0,1,0,6, 0,0,2,7)
    h[344:348]=b'ni1\0' if pair else b'n+1\0'
    return bytes(h)+(b'' if pair else b'\0'*(4+ext))
def n2(big=False,pair=False,dt=16,dims=(3,2,2)):
    e='>' if big else '<'
    h=bytearray(540)
    def p(off,fmt,*v): struct.pack_into(e+fmt,h,off,*v)
    p(0,'i',540); h[4:12]=b'ni2\0\r\n\x1a\n' if pair else b'n+2\0\r\n\x1a\n'
    p(12,'h',dt)
    p(16,'8q',len(dims),*(list(dims)+[1]*(7-len(dims))))
    p(104,'8d',1,1,1,2,1,1,1,1)
    p(168,'q',0 if pair else 544)
    p(176,'2d',1,0)
    p(348,'i',1); p(400,'12d',1,0,0,0,0,1,0,0,0,0,1,0)
    return bytes(h)+(b'' if pair else b'\0'*4)
def w(name,mode,b,cut=0): open(d+name,'wb').write(bytes([mode,cut])+b)
vox=bytes(range(96))
for big in (0,1):
    w(f'n1_plain_{big}',0,n1(big)+vox[:24])
    w(f'n1_gz_{big}',1,n1(big)+vox[:24])
    w(f'n2_plain_{big}',0,n2(big)+vox[:48])
    w(f'n2_gz_{big}',1,n2(big)+vox[:48])
    w(f'n1_pair_{big}',2,n1(big,True)+vox[:24],4); w(f'n2_pair_{big}',2,n2(big,True)+vox[:48],100)
w('n1_ext',1,n1(ext=16)+vox[:24])
w('rgb',0,n1(dt=128)+vox[:36])
w('seven_dims',0,n1(dt=2,dims=(2,1,2,1,2,1,2))+vox[:16])
w('double',1,n1(dt=64)+vox[:96]); w('trailing',0,n1()+vox)
g=gzip.compress(n1()+vox[:10],mtime=0)+gzip.compress(vox[10:24],mtime=0)
w('members',0,g)
w('members_padded',0,g+b'\0'*9)
w('members_cut',0,g[:-5])
w('promise',0,n1(dt=64,dims=(32767,32767,32767,32767,32767,32767,32767)))
w('promise_gz',1,n1(dims=(32767,32767,1)))
w('analyze',0,n1()[:344]+b'\0'*8)
w('complex',0,n1(dt=32)+vox)
w('empty',0,b'')
w('short',1,n1()[:100])
h=bytearray(n2()+vox[:48]); struct.pack_into('<q',h,24,2**62); w('huge_dim',0,bytes(h))
h=bytearray(n1()+vox[:24]); struct.pack_into('<f',h,108,1e30); w('huge_offset',0,bytes(h))
h=bytearray(n1()+vox[:24])
struct.pack_into('<3f',h,256,float('nan'),float('inf'),3e38)
struct.pack_into('<h',h,254,0)
w('mad_quaternion',0,bytes(h))
