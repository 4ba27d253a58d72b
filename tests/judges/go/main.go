// Reads responses from standard input and says what Go finds in each.
//
// A line in is "WAY ISSUER SERIAL RESPONSE": the DER of the issuer's certificate and of the response in base64, and the
// serial in decimal. The ways:
//
//   - certificate: ocsp.ParseResponseForCert; out comes "STATUS SERIAL REVOKED REASON THIS NEXT PRODUCED", times in
//     seconds since 1970
//   - issuer: the same by ocsp.ParseResponse, which is not told the serial
//   - octets: what x/crypto/ocsp has no name for: the signed octets are cut out here and verified by Go's crypto
//     packages; out comes "verified ALGORITHM"
//
// What is refused comes out as "error: TEXT".
package main

import (
	"bufio"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"os"
	"strings"

	"golang.org/x/crypto/ocsp"
)

var statuses = map[int]string{ocsp.Good: "good", ocsp.Revoked: "revoked", ocsp.Unknown: "unknown"}

// By the DER of the AlgorithmIdentifier: TLS Baseline Requirements 7.1.3.2.1 (PSS), RFC 8410, RFC 9881.
var algorithms = map[string]x509.SignatureAlgorithm{
	"304106092a864886f70d01010a3034a00f300d06096086480165030402010500a11c301a06092a864886f70d010108300d060960864801650304" +
		"02010500a203020120": x509.SHA256WithRSAPSS, // Go's salt is as long as the digest, as the parameters say
	"300506032b6570":             x509.PureEd25519,
	"300b0609608648016503040311": x509.MLDSA44,
	"300b0609608648016503040312": x509.MLDSA65,
	"300b0609608648016503040313": x509.MLDSA87,
}

// RFC 6960, 4.2.1
type wholeResponse struct {
	Status asn1.Enumerated
	Bytes  struct {
		Type  asn1.ObjectIdentifier
		Basic []byte
	} `asn1:"explicit,tag:0"`
}

type basicResponse struct {
	Data         asn1.RawValue
	Algorithm    asn1.RawValue
	Signature    asn1.BitString
	Certificates []asn1.RawValue `asn1:"explicit,tag:0,optional"`
}

func unmarshal(der []byte, into any) error {
	rest, err := asn1.Unmarshal(der, into)
	if err == nil && len(rest) > 0 {
		err = errors.New("octets after the end")
	}
	return err
}

// signer returns the issuer, or the one certificate in the response, which the issuer must have signed.
func signer(issuer *x509.Certificate, embedded []asn1.RawValue) (*x509.Certificate, error) {
	if len(embedded) == 0 {
		return issuer, nil
	}
	if len(embedded) > 1 {
		return nil, fmt.Errorf("%d certificates", len(embedded))
	}
	certificate, err := x509.ParseCertificate(embedded[0].FullBytes)
	if err != nil {
		return nil, err
	}
	return certificate, certificate.CheckSignatureFrom(issuer)
}

func verify(issuer *x509.Certificate, der []byte) (string, error) {
	var whole wholeResponse
	if err := unmarshal(der, &whole); err != nil {
		return "", err
	}
	var basic basicResponse
	if err := unmarshal(whole.Bytes.Basic, &basic); err != nil {
		return "", err
	}
	algorithm, ok := algorithms[hex.EncodeToString(basic.Algorithm.FullBytes)]
	if !ok {
		return "", fmt.Errorf("algorithm %x", basic.Algorithm.FullBytes)
	}
	certificate, err := signer(issuer, basic.Certificates)
	if err != nil {
		return "", err
	}
	if err := certificate.CheckSignature(algorithm, basic.Data.FullBytes, basic.Signature.RightAlign()); err != nil {
		return "", err
	}
	return "verified " + algorithm.String(), nil
}

func said(response *ocsp.Response, err error) (string, error) {
	if err != nil {
		return "", err
	}
	revokedAt := int64(0)
	if response.Status == ocsp.Revoked {
		revokedAt = response.RevokedAt.Unix()
	}
	return fmt.Sprintf("%s %s %d %d %d %d %d", statuses[response.Status], response.SerialNumber, revokedAt,
		response.RevocationReason, response.ThisUpdate.Unix(), response.NextUpdate.Unix(), response.ProducedAt.Unix()), nil
}

func judge(line string) (string, error) {
	fields := strings.Fields(line)
	if len(fields) != 4 {
		return "", fmt.Errorf("%d fields in a line", len(fields))
	}
	certificate, err := base64.StdEncoding.DecodeString(fields[1])
	if err != nil {
		return "", err
	}
	issuer, err := x509.ParseCertificate(certificate)
	if err != nil {
		return "", err
	}
	serial, ok := new(big.Int).SetString(fields[2], 10)
	if !ok {
		return "", fmt.Errorf("no serial: %s", fields[2])
	}
	der, err := base64.StdEncoding.DecodeString(fields[3])
	if err != nil {
		return "", err
	}
	switch fields[0] {
	case "certificate":
		// Verifies the signature by the issuer, or by the embedded certificate, which the issuer must have signed.
		return said(ocsp.ParseResponseForCert(der, &x509.Certificate{SerialNumber: serial}, issuer))
	case "issuer":
		return said(ocsp.ParseResponse(der, issuer))
	case "octets":
		return verify(issuer, der)
	}
	return "", fmt.Errorf("no such way: %s", fields[0])
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		answer, err := judge(lines.Text())
		if err != nil {
			answer = "error: " + err.Error()
		}
		fmt.Println(answer)
	}
	if err := lines.Err(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
