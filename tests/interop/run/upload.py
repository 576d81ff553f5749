# SPDX-License-Identifier: Apache-2.0
"""The UploadManager of Oracle's SDK for Python, as a program uses it that knows nothing of
keyward: a file in parts, then the object's hash, read in two ranges.

    upload.py FILE BUCKET NAME"""
import hashlib
import sys

import oci

path, bucket, name = sys.argv[1:]
signer = oci.auth.signers.get_resource_principals_signer()
storage = oci.object_storage.ObjectStorageClient({}, signer=signer)
namespace = storage.get_namespace().data
storage.head_bucket(namespace, bucket)
manager = oci.object_storage.UploadManager(storage)
manager.upload_file(namespace, bucket, name, path)
size = int(storage.head_object(namespace, bucket, name).headers["content-length"])
hashed = hashlib.sha256()
for wanted in (f"bytes=0-{size // 3}", f"bytes={size // 3 + 1}-"):
    answer = storage.get_object(namespace, bucket, name, range=wanted)
    for piece in answer.data.raw.stream(1 << 20, decode_content=False):
        hashed.update(piece)
print("uploaded", size, hashed.hexdigest())
storage.delete_object(namespace, bucket, name)
print("multipart uploads left", len(storage.list_multipart_uploads(namespace, bucket).data))
