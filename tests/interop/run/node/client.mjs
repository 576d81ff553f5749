// SPDX-License-Identifier: Apache-2.0
//
// Oracle's SDK for TypeScript as a program uses it that knows nothing of keyward: a resource
// principal (the namespace, an object there and back), then the session profile (VCNs).
//
// usage: node client.mjs BUCKET COMPARTMENT FILE
import { createHash } from 'node:crypto';
import { createReadStream, readFileSync } from 'node:fs';
import common from 'oci-common';
import core from 'oci-core';
import storage from 'oci-objectstorage';

const [bucketName, compartmentId, file] = process.argv.slice(2);
const hash = (bytes) => createHash('sha256').update(bytes).digest('hex');
const principal = await common.ResourcePrincipalAuthenticationDetailsProvider.builder();
const objects = new storage.ObjectStorageClient({ authenticationDetailsProvider: principal });
const namespaceName = (await objects.getNamespace({})).value;
console.log('principal', namespaceName);

const object = { namespaceName, bucketName, objectName: 'from-node' };
const sent = readFileSync(file);
await objects.putObject({ ...object, putObjectBody: createReadStream(file), contentLength: sent.length });
const answer = await objects.getObject(object);
const parts = [];
for await (const part of answer.value) parts.push(part);
console.log('object', hash(Buffer.concat(parts)) === hash(sent) ? 'the same' : 'another');
await objects.deleteObject(object);

const session = new common.SessionAuthDetailProvider(process.env.OCI_CONFIG_FILE, 'DEFAULT');
const network = new core.VirtualNetworkClient({ authenticationDetailsProvider: session });
console.log('vcns', (await network.listVcns({ compartmentId })).items.length);
