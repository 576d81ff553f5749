// SPDX-License-Identifier: Apache-2.0
//
// The vendors' libraries for Go as a program uses them that knows nothing of keyward.
//
//	client oci            resource principal, then the session profile; the namespace by each
//	client terraform      as Terraform's provider for OCI finds its way (terraform.go)
//	client google URL     application default credentials, one call
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/oracle/oci-go-sdk/v65/common"
	"github.com/oracle/oci-go-sdk/v65/common/auth"
	"github.com/oracle/oci-go-sdk/v65/objectstorage"
	"golang.org/x/oauth2/google"
)

func namespace(how string, provider common.ConfigurationProvider, err error) {
	if err != nil {
		log.Fatal(how, ": ", err)
	}
	client, err := objectstorage.NewObjectStorageClientWithConfigurationProvider(provider)
	if err != nil {
		log.Fatal(how, ": ", err)
	}
	answer, err := client.GetNamespace(context.Background(), objectstorage.GetNamespaceRequest{})
	if err != nil {
		log.Fatal(how, ": ", err)
	}
	fmt.Println(how, *answer.Value)
}

func main() {
	if os.Args[1] == "oci" {
		principal, err := auth.ResourcePrincipalConfigurationProvider()
		namespace("principal", principal, err)
		namespace("session", common.CustomProfileSessionTokenConfigProvider(os.Getenv("OCI_CONFIG_FILE"), "DEFAULT"), nil)
		return
	}
	if os.Args[1] == "terraform" {
		terraform()
		return
	}
	client, err := google.DefaultClient(context.Background(), "https://www.googleapis.com/auth/cloud-platform")
	if err != nil {
		log.Fatal(err)
	}
	answer, err := client.Get(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	body, _ := io.ReadAll(answer.Body)
	fmt.Println(answer.StatusCode, string(body))
}
