# SPDX-License-Identifier: Apache-2.0
"""Oracle's SDK for Python as a program uses it that knows nothing of keyward: a resource
principal, then the session profile of the configuration file."""
import oci

signer = oci.auth.signers.get_resource_principals_signer()
storage = oci.object_storage.ObjectStorageClient({}, signer=signer)
print("principal", storage.get_namespace().data)

config = oci.config.from_file()
with open(config["security_token_file"], encoding="ascii") as file:
    token = file.read()
key = oci.signer.load_private_key_from_file(config["key_file"])
signer = oci.auth.signers.SecurityTokenSigner(token, key)
identity = oci.identity.IdentityClient(config, signer=signer)
print("session", len(identity.list_compartments(config["tenancy"]).data))
network = oci.core.VirtualNetworkClient(config, signer=signer)
print("vcns", len(network.list_vcns(identity.list_compartments(config["tenancy"]).data[0].id).data))
