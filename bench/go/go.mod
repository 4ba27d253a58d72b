module bench

go 1.21

require golang.org/x/crypto v0.0.0

replace golang.org/x/crypto => /usr/share/gocode/src/golang.org/x/crypto
