// SPDX-License-Identifier: Apache-2.0
//
// google-auth-library as it is: application default credentials from the file that keyward
// wrote, then one call with them. usage: client.mjs URL
import { GoogleAuth } from 'google-auth-library';

const auth = new GoogleAuth({ scopes: 'https://www.googleapis.com/auth/cloud-platform' });
const client = await auth.getClient();
const answer = await client.request({ url: process.argv[2], responseType: 'text' });
console.log(client.constructor.name, answer.status, answer.data);
