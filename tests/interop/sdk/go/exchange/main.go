// SPDX-License-Identifier: Apache-2.0

// From nothing to a session token by the Go SDK's own workload identity provider, for
// tests/bench: fetches the subject token, exchanges it, and prints the length of the keyId.
//
// Takes keyward-lab's environment (lab.env). The lab plays every host at 127.0.0.1:$LAB_PORT.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"

	"github.com/oracle/oci-go-sdk/v65/common/auth"
)

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "exchange:", err)
		os.Exit(1)
	}
}

func file(name string) string {
	text, err := os.ReadFile(os.Getenv(name))
	must(err)
	return strings.TrimSpace(string(text))
}

// The SDK can't be given a client here. It clones the default transport, with its dialer only
// if this variable says so, and reads its own variable for roots.
func meetTheLab() {
	must(os.Setenv("OCI_GOSDK_USING_EXPECT_HEADER", "false"))
	must(os.Setenv("OCI_DEFAULT_CERTS_PATH", os.Getenv("LAB_CA_FILE")))
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(file("LAB_CA_FILE")))
	http.DefaultTransport = &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, "127.0.0.1:"+os.Getenv("LAB_PORT"))
		},
	}
}

func subject() string {
	url := os.Getenv("LAB_REQUEST_URL") + "&audience=" + os.Getenv("LAB_AUDIENCE")
	request, err := http.NewRequest("GET", url, nil)
	must(err)
	request.Header.Set("Authorization", "bearer "+file("LAB_REQUEST_TOKEN_FILE"))
	response, err := http.DefaultClient.Do(request)
	must(err)
	defer response.Body.Close()
	var answer struct{ Value string }
	must(json.NewDecoder(response.Body).Decode(&answer))
	return answer.Value
}

func main() {
	meetTheLab()
	provider, err := auth.TokenExchangeConfigurationProviderFromToken(subject(), auth.TokenExchangeBuilder{
		DomainUrl:          os.Getenv("LAB_DOMAIN_URL"),
		ClientId:           os.Getenv("LAB_CLIENT_ID"),
		ClientSecret:       file("LAB_CLIENT_SECRET_FILE"),
		Region:             os.Getenv("LAB_REGION"),
		RequestedTokenType: "urn:oci:token-type:oci-upst",
		SubjectTokenType:   "jwt",
	})
	must(err)
	id, err := provider.KeyID()
	must(err)
	fmt.Println("keyId of", len(id), "bytes")
}
