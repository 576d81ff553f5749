# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Sourced by setup.sh: interruptions of a set-up, and rights that are missing.
fault() { control POST faults "$1" && ok "fault $1 taken" is "$status" 200; }
admins() { list Apps 'displayName eq "Cut"' && total; }
fault 'drop,count=1,method=POST,path=/admin/*'
admin POST Apps "$(app Cut)"
ok 'drop: no answer' is "$rc" 52
ok 'drop: done' is "$(admins)" 1
admin POST Apps "$(app Cut)"
no 'drop: so not twice' 409 common.validation.uniquenessViolation
list Apps 'displayName eq "Cut"'
app_id=$(field id)
fault 'cut,count=1,method=DELETE,path=/admin/*'
admin DELETE "Apps/$app_id"
ok 'cut: no answer' is "$rc" 52
ok 'cut: not done' is "$(admins)" 1
fault 'late-status=503,count=1,method=DELETE,path=/admin/*'
admin DELETE "Apps/$app_id"
no 'late-status' 503 common.common.internalError
ok 'late-status: done' is "$(admins)" 0
fault 'status=409,count=1,skip=1,path=/admin/*'
admin GET Apps
yes 'status: the second' 200
admin GET Apps
no 'status: the vendor'"'"'s shape' 409 common.common.conflict
fault 'status=429,count=1,path=/admin/*'
admin GET Apps
no 'status 429' 429 common.common.tooManyRequests
fault 'drop,count=1,method=PATCH,path=/admin/*'
admin POST Apps "$(app Lost)"
app_id=$(field id)
admin PATCH "Apps/$app_id" "$oauth_client"
admin PATCH "Apps/$app_id" "$oauth_client"
ok 'a secret that got lost is not shown again' not has clientSecret
fault 'denied=Identity*.create,count=1'
admin GET $T
yes 'denied: another right' 200
admin POST $T "$(trust n x "$sub" 0123)"
no 'denied: the right' 403 common.common.forbidden
ok 'denied: its name' has IdentityPropagationTrusts.create
admin POST $T "$(trust n x "$sub" 0123)"
no 'denied: once only' 400 common.validation.invalidReferenceResource
fault 'denied=policies.*'
policies GET "?compartmentId=$LAB_TENANCY"
code 'denied: policies' 404 NotAuthorizedOrNotFound
control POST reset
list Apps 'displayName pr'
ok 'reset' is "$(total)" 0
