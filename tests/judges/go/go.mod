module judge

go 1.27

require golang.org/x/crypto v0.0.0

replace golang.org/x/crypto => /usr/share/gocode/src/golang.org/x/crypto
