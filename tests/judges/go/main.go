// Reads responses from standard input and says what golang.org/x/crypto/ocsp finds in each.
//
// A line in is "ISSUER SERIAL RESPONSE": the DER of the issuer's certificate and of the response in base64, and the
// serial in decimal. A line out is "STATUS SERIAL REVOKED REASON THIS NEXT PRODUCED", times in seconds since 1970, or
// "error: TEXT".
package main

import (
	"bufio"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"math/big"
	"os"
	"strings"

	"golang.org/x/crypto/ocsp"
)

var statuses = map[int]string{ocsp.Good: "good", ocsp.Revoked: "revoked", ocsp.Unknown: "unknown"}

func judge(line string) (string, error) {
	fields := strings.Fields(line)
	if len(fields) != 3 {
		return "", fmt.Errorf("%d fields in a line", len(fields))
	}
	certificate, err := base64.StdEncoding.DecodeString(fields[0])
	if err != nil {
		return "", err
	}
	issuer, err := x509.ParseCertificate(certificate)
	if err != nil {
		return "", err
	}
	serial, ok := new(big.Int).SetString(fields[1], 10)
	if !ok {
		return "", fmt.Errorf("no serial: %s", fields[1])
	}
	der, err := base64.StdEncoding.DecodeString(fields[2])
	if err != nil {
		return "", err
	}
	// Verifies the signature by the issuer, or by the embedded certificate, which the issuer must have signed.
	response, err := ocsp.ParseResponseForCert(der, &x509.Certificate{SerialNumber: serial}, issuer)
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
