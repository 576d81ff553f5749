// SPDX-License-Identifier: Apache-2.0
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"strings"

	"github.com/oracle/oci-go-sdk/v65/common"
	"github.com/oracle/oci-go-sdk/v65/common/auth"
	"github.com/oracle/oci-go-sdk/v65/identity"
	"github.com/oracle/oci-go-sdk/v65/objectstorage"
)

// An argument of the provider's block that is not written there.
func argument(name string) string {
	for _, variable := range []string{"TF_VAR_" + name, "OCI_" + strings.ToUpper(name)} {
		if value := os.Getenv(variable); value != "" {
			return value
		}
	}
	return ""
}

// What the provider takes from variables only, also without a prefix.
func setting(name string) string {
	for _, variable := range []string{"TF_VAR_" + name, "OCI_" + name, name} {
		if value := os.Getenv(variable); value != "" {
			return value
		}
	}
	return ""
}

// The provider asks the system for the home, not HOME.
func configFile() (string, error) {
	home := os.Getenv("TF_HOME_OVERRIDE")
	if home == "" {
		who, err := user.Current()
		if err != nil {
			return "", err
		}
		home = who.HomeDir
	}
	return filepath.Join(home, ".oci", "config"), nil
}

func credentials() (common.ConfigurationProvider, error) {
	region, profile := argument("region"), argument("config_file_profile")
	switch strings.ToLower(argument("auth")) {
	case "securitytoken":
		if region == "" || profile == "" {
			return nil, errors.New("SecurityToken wants region and config_file_profile")
		}
		path, err := configFile()
		if err != nil {
			return nil, err
		}
		session, err := common.ConfigurationProviderForSessionTokenWithProfile(path, profile, "")
		if err != nil {
			return nil, err
		}
		// The block's region counts before the profile's.
		return common.ComposingConfigurationProvider([]common.ConfigurationProvider{
			common.NewRawConfigurationProvider("", "", region, "", "", nil), session,
			common.NewRawConfigurationProvider(argument("tenancy_ocid"), "", region, "", "", nil),
			common.CustomProfileConfigProvider(path, profile)})
	case "resourceprincipal":
		if region == "" {
			return auth.ResourcePrincipalConfigurationProvider()
		}
		return auth.ResourcePrincipalConfigurationProviderForRegion(common.StringToRegion(region))
	}
	return nil, fmt.Errorf("auth %q", argument("auth"))
}

// Its own client, its own roots: a custom certificate replaces the system's.
func transport() (*http.Client, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if path := setting("custom_cert_location"); path != "" {
		pem, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, errors.New("custom_cert_location holds no certificate")
		}
	}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: config, Proxy: http.ProxyFromEnvironment}}, nil
}

func must(err error) {
	if err != nil {
		log.Fatal("terraform: ", err)
	}
}

// What Terraform's provider for OCI does between its variables and the first answers, by the
// SDK that it is built on.
func terraform() {
	provider, err := credentials()
	must(err)
	client, err := transport()
	must(err)
	signer := common.DefaultRequestSigner(provider)
	configure := func(base *common.BaseClient) { base.HTTPClient, base.Signer = client, signer }

	storage, err := objectstorage.NewObjectStorageClientWithConfigurationProvider(provider)
	must(err)
	configure(&storage.BaseClient)
	namespace, err := storage.GetNamespace(context.Background(), objectstorage.GetNamespaceRequest{})
	must(err)
	fmt.Println("terraform", argument("auth"), *namespace.Value)

	people, err := identity.NewIdentityClientWithConfigurationProvider(provider)
	must(err)
	configure(&people.BaseClient)
	tenancy, err := provider.TenancyOCID()
	must(err)
	compartments, err := people.ListCompartments(context.Background(), identity.ListCompartmentsRequest{CompartmentId: &tenancy})
	must(err)
	fmt.Println("compartments", len(compartments.Items))
}
