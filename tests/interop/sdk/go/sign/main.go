// SPDX-License-Identifier: Apache-2.0

// The Go SDK's signer on the requests of generate.py.
//
// usage: sign KEY PORT <requests >signed
//
// Each request is signed by the SDK's signer and sent by net/http, as the SDK's BaseClient
// does it. Every host is at 127.0.0.1:PORT (wire.py). Prints {"case", "digest"} for each, the
// SHA-256 of the string that it signed (it shows no more), or {"case", "error"}.
package main

import (
	"bufio"
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/oracle/oci-go-sdk/v65/common"
)

type request struct {
	Case    int               `json:"case"`
	Method  string            `json:"method"`
	URL     string            `json:"url"`
	Headers map[string]string `json:"headers"`
	Body    *string           `json:"body"`
	Times   int               `json:"times"`
	Upload  bool              `json:"upload"`
}

type result struct {
	Case   int    `json:"case"`
	Digest string `json:"digest,omitempty"`
	Error  string `json:"error,omitempty"`
}

// keys is a session token's key provider. The SDK signs through PrivateKeySigner where there
// is one, which is how the digest can be seen.
type keys struct {
	*rsa.PrivateKey
	last string
}

func (k *keys) PrivateRSAKey() (*rsa.PrivateKey, error)  { return k.PrivateKey, nil }
func (k *keys) KeyID() (string, error)                   { return "ST$the.session.token", nil }
func (k *keys) PrivateKeySigner() (crypto.Signer, error) { return k, nil }
func (k *keys) Sign(r io.Reader, digest []byte, o crypto.SignerOpts) ([]byte, error) {
	k.last = base64.StdEncoding.EncodeToString(digest)
	return k.PrivateKey.Sign(r, digest, o)
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "sign:", err)
		os.Exit(1)
	}
}

func load(path string) *keys {
	text, err := os.ReadFile(path)
	must(err)
	block, _ := pem.Decode(text)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	must(err)
	return &keys{PrivateKey: key.(*rsa.PrivateKey)}
}

func send(client *http.Client, k *keys, r request) error {
	var body io.Reader
	if r.Body != nil {
		body = strings.NewReader(strings.Repeat(*r.Body, r.Times))
	}
	req, err := http.NewRequest(r.Method, r.URL, body)
	if err != nil {
		return err
	}
	// What BaseClient sets before it signs (prepareRequest), and its default for a body.
	req.Header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	req.Header.Set("Content-Type", "application/json")
	for name, value := range r.Headers {
		req.Header.Set(name, value)
	}
	req.Header.Set("X-Case", fmt.Sprint(r.Case))
	signer := common.DefaultRequestSigner(k)
	if r.Upload {
		signer = common.RequestSignerExcludeBody(k)
	}
	if err = signer.Sign(req); err != nil {
		return err
	}
	response, err := client.Do(req)
	if err != nil {
		return err
	}
	return response.Body.Close()
}

func main() {
	k := load(os.Args[1])
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, "127.0.0.1:"+os.Args[2])
	}
	client := &http.Client{Transport: &http.Transport{DialContext: dial}}
	in := bufio.NewReader(os.Stdin)
	out := json.NewEncoder(os.Stdout)
	for {
		line, err := in.ReadBytes('\n')
		if err == io.EOF {
			return
		}
		must(err)
		var r request
		must(json.Unmarshal(line, &r))
		k.last = ""
		answer := result{Case: r.Case}
		if err = send(client, k, r); err != nil {
			answer.Error = err.Error()
		} else {
			answer.Digest = k.last
		}
		must(out.Encode(answer))
	}
}
