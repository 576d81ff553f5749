# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Sourced by e2e.sh: multipart uploads.
u=${o%/o}/u
begin() { # OBJECT: sets $id
    fresh POST "$objects" "$u" "{\"object\":\"$1\"}" && seal && send
    id=$(sed -n 's/.*"uploadId":"\([^"]*\)".*/\1/p' "$work/out")
}
part() { # NUMBER BYTES: sets $etag
    fresh PUT "$objects" "$u/$object?uploadId=$id&uploadPartNum=$1" "$2"
    names='date (request-target) host' && seal && send
    etag=$(tr -d '\r' <"$work/head" | sed -n 's/^etag: //p')
}
commit() { # JSON
    fresh POST "$objects" "$u/$object?uploadId=$id" "$1" && seal && send
}
body() { # the object's bytes
    fresh GET "$objects" "$o/$object" && seal && send
    cat "$work/out"
}
uploads() { # how many are under way, by the lab's own word
    control GET state
    sed -n 's/.*"uploads":\([0-9]*\).*/\1/p' "$work/out"
}

object='a b' && begin "$object" && object=a%20b
good CreateMultipartUpload 200
ok 'CreateMultipartUpload: the answer' has '"object":"a b"'
part 2 wxyz && two=$etag
good UploadPart 200
part 1 first && part 1 abc && one=$etag # again: the later one counts
part 3 not
fresh GET "$objects" "$u/$object?uploadId=$id" && seal && send
good ListMultipartUploadParts 200
ok 'ListMultipartUploadParts: in order' has "\"partNumber\":1,\"etag\":\"$one\""
ok 'ListMultipartUploadParts: three' is "$(grep -o partNumber "$work/out" | wc -l)" 3
fresh GET "$objects" "$u" && seal && send
ok 'ListMultipartUploads' has "\"uploadId\":\"$id\""
take="{\"partNum\":2,\"etag\":\"$two\"},{\"partNum\":1,\"etag\":\"$one\"}"
for wrong in '{}' '{"partsToCommit":[]}' "{\"partsToCommit\":[$take]}" \
    "{\"partsToCommit\":[$take,{\"partNum\":3,\"etag\":\"x\"}]}" \
    "{\"partsToCommit\":[$take,{\"partNum\":2,\"etag\":\"$two\"}],\"partsToExclude\":[3]}" \
    "{\"partsToCommit\":[$take],\"partsToExclude\":[3,4]}" '{"partsToExclude":[1,2,3]}' 'no JSON'; do
    commit "$wrong"
    good "commit of $wrong" 400
done
commit "{\"partsToCommit\":[$take],\"partsToExclude\":[3]}"
good CommitMultipartUpload 200
md5=$({ printf abc | openssl dgst -md5 -binary && printf wxyz | openssl dgst -md5 -binary; } |
    openssl dgst -md5 -binary | base64)
ok 'CommitMultipartUpload: MD5' head_has "opc-multipart-md5: $md5-2"
ok 'CommitMultipartUpload: the bytes' is "$(body)" abcwxyz
commit "{\"partsToCommit\":[$take]}"
good 'commit of what is committed' 404
ok 'commit of what is committed: body' has '"code":"NoSuchUpload"'
ok 'nothing under way' is "$(uploads)" 0

object=c && begin c
part 1 kept
for number in 0 10001 01 x ''; do
    part "$number" more
    good "part '$number'" 400
done
fresh PUT "$objects" "$u/$object?uploadId=$id&uploadPartNum=2" more && seal &&
    extra='content-md5: 1B2M2Y8AsgTpgAmY7PhCfg==' && send
good 'a part with a wrong MD5' 400
fresh PUT "$objects" "$u/$object?uploadId=$id&uploadPartNum=2" more && key=$work/other.pem && seal && send
refused 'a part signed by another key'
fresh POST "$objects" "$u/$object?uploadId=$id" '{"partsToCommit":[]}' && names='date (request-target) host' &&
    seal && send
refused 'a commit whose body is not signed'
fresh PUT "$objects" "$u/other?uploadId=$id&uploadPartNum=2" more && seal && send
good 'a part of another object' 404
fresh PUT "$objects" "$u/$object?uploadPartNum=2" more && seal && send
good 'a part without an upload' 400
fresh DELETE "$objects" "$u/$object?uploadId=$id" && seal && send
good AbortMultipartUpload 204
ok 'aborted: nothing under way' is "$(uploads)" 0
part 2 more
good 'a part of what is aborted' 404
fresh GET "$objects" "$o/c" && seal && send
good 'aborted: no object' 404

# What is taken in is bounded.
for _ in $(seq 100); do begin c; done
good 'a hundred uploads' 200
begin c
ok 'one more' is "$status $(uploads)" '400 100'
control POST reset ''
ok 'reset: no uploads' is "$(uploads)" 0
