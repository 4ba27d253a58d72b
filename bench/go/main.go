// Measures what Go signs in a second of CPU time, on one core: ecdsa.Sign and RSA PKCS#1 v1.5 of a digest, and whole
// responses by ocsp.CreateResponse, the same ones as Pregen's but that Go names the responder by name.
//
// Arguments: the CPU seconds of each loop, and a folder with issuer.pem, ocsp.pem and ocsp.key. Out comes one JSON
// object. What was signed is checked after the clock has stopped.
package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/crypto/ocsp"
)

const pass = 32 // calls between two looks at the clock

func fatal(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func cpuSeconds() float64 {
	var usage syscall.Rusage
	fatal(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e9
}

// rate returns calls a second of CPU time: of all threads, so of the garbage collector too.
func rate(seconds float64, call func()) float64 {
	call()
	runtime.GC() // of what came before
	done, spent, started := 0, 0.0, cpuSeconds()
	for spent < seconds || spent == 0 {
		for i := 0; i < pass; i++ {
			call()
		}
		done += pass
		spent = cpuSeconds() - started
	}
	return float64(done) / spent
}

func read(folder, name string) []byte {
	text, err := os.ReadFile(filepath.Join(folder, name))
	fatal(err)
	block, _ := pem.Decode(text)
	if block == nil {
		fatal(errors.New(name + " holds no PEM"))
	}
	return block.Bytes
}

func certificate(folder, name string) *x509.Certificate {
	certificate, err := x509.ParseCertificate(read(folder, name))
	fatal(err)
	return certificate
}

func responses(seconds float64, issuer, responder *x509.Certificate, key crypto.Signer) float64 {
	now := time.Now().UTC().Truncate(time.Second)
	one, serial := big.NewInt(1), new(big.Int).Lsh(big.NewInt(0x5a), 120) // 16 octets
	var der []byte
	measured := rate(seconds, func() {
		var err error
		der, err = ocsp.CreateResponse(issuer, responder, ocsp.Response{
			Status:       ocsp.Good,
			SerialNumber: serial.Add(serial, one),
			Certificate:  responder,
			ThisUpdate:   now,
			NextUpdate:   now.Add(96 * time.Hour),
		}, key)
		fatal(err)
	})
	parsed, err := ocsp.ParseResponse(der, issuer) // verifies the signature
	fatal(err)
	if parsed.SerialNumber.Cmp(serial) != 0 || parsed.Certificate == nil {
		fatal(errors.New("CreateResponse made something else"))
	}
	return measured
}

func main() {
	seconds, err := strconv.ParseFloat(os.Args[1], 64)
	fatal(err)
	folder := os.Args[2]
	issuer, responder := certificate(folder, "issuer.pem"), certificate(folder, "ocsp.pem")
	parsed, err := x509.ParsePKCS8PrivateKey(read(folder, "ocsp.key"))
	fatal(err)
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok {
		fatal(errors.New("ocsp.key is no ECDSA key"))
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	fatal(err)
	digest := sha256.Sum256([]byte("a ResponseData"))
	var signature []byte

	ecdsaRate := rate(seconds, func() {
		signature, err = ecdsa.SignASN1(rand.Reader, key, digest[:])
		fatal(err)
	})
	if !ecdsa.VerifyASN1(&key.PublicKey, digest[:], signature) {
		fatal(errors.New("ecdsa made a wrong signature"))
	}
	rsaRate := rate(seconds, func() {
		signature, err = rsa.SignPKCS1v15(rand.Reader, rsaKey, crypto.SHA256, digest[:])
		fatal(err)
	})
	fatal(rsa.VerifyPKCS1v15(&rsaKey.PublicKey, crypto.SHA256, digest[:], signature))
	fatal(json.NewEncoder(os.Stdout).Encode(map[string]any{
		"version":         runtime.Version(),
		"p256":            ecdsaRate,
		"rsa2048":         rsaRate,
		"create_response": responses(seconds, issuer, responder, key),
	}))
}
