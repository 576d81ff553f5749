/* SPDX-License-Identifier: Apache-2.0
 *
 * Identity (compartments; for policies see ocipolicy.c) and Core (VCNs), read-only, with a
 * small fixed inventory.
 */
#include <string.h>

#include "lab.h"

const char lab_compartment[] = "ocid1.compartment.oc1..aaaaaaaakeywardlabbuild";

static const struct {
    const char *ocid, *name, *description;
} COMPARTMENTS[] = {
    {lab_compartment, "build", "Build machines and artefacts"},
    {"ocid1.compartment.oc1..aaaaaaaakeywardlabprod", "production", "What customers use"},
};

static const struct {
    const char *ocid, *name, *cidr, *label;
} VCNS[] = {
    {"ocid1.vcn.oc1.us-lab-1.aaaaaaaakeywardlabmain", "main", "10.0.0.0/16", "main"},
    {"ocid1.vcn.oc1.us-lab-1.aaaaaaaakeywardlabtest", "test", "10.1.0.0/16", "test"},
};

/* The required query parameter compartmentId, if it names something we have. */
static bool compartment(struct lab *l, struct lab_request *r, struct lab_response *a, char id[256],
                        bool *root)
{
    int given = lab_query(r, "compartmentId", id, 256);
    *root = given > 0 && strcmp(id, l->opt.tenancy) == 0;
    bool known = *root;
    for (size_t i = 0; given > 0 && i < sizeof COMPARTMENTS / sizeof COMPARTMENTS[0]; i++)
        known = known || strcmp(id, COMPARTMENTS[i].ocid) == 0;
    if (given < 0)
        lab_oci_error(a, 400, "InvalidParameter", "compartmentId is invalid.");
    else if (given == 0)
        lab_oci_error(a, 400, "MissingParameter", "compartmentId is required.");
    else if (!known)
        lab_oci_status(l, a, 404);
    return known;
}

static void compartments(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    char id[256];
    bool root;
    if (!compartment(l, r, a, id, &root))
        return;
    json_t *all = json_array();
    for (size_t i = 0; root && i < sizeof COMPARTMENTS / sizeof COMPARTMENTS[0]; i++)
        json_array_append_new(
            all, json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:n, s:b, s:{}, s:{}}", "id",
                           COMPARTMENTS[i].ocid, "compartmentId", l->opt.tenancy, "name",
                           COMPARTMENTS[i].name, "description", COMPARTMENTS[i].description,
                           "timeCreated", "2026-01-05T08:00:00.000Z", "lifecycleState", "ACTIVE",
                           "inactiveStatus", "isAccessible", 1, "freeformTags", "definedTags"));
    lab_oci_page(r, a, all);
}

static void vcns(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    char id[256];
    bool root;
    if (!compartment(l, r, a, id, &root))
        return;
    json_t *all = json_array();
    for (size_t i = 0; i < sizeof VCNS / sizeof VCNS[0]; i++) {
        char domain[128];
        snprintf(domain, sizeof domain, "%s.oraclevcn.com", VCNS[i].label);
        json_array_append_new(
            all,
            json_pack("{s:s, s:s, s:s, s:s, s:[s], s:s, s:s, s:s, s:s, s:{}, s:{}}", "id",
                      VCNS[i].ocid, "compartmentId", id, "displayName", VCNS[i].name, "cidrBlock",
                      VCNS[i].cidr, "cidrBlocks", VCNS[i].cidr, "dnsLabel", VCNS[i].label,
                      "vcnDomainName", domain, "lifecycleState", "AVAILABLE", "timeCreated",
                      "2026-01-05T08:30:00.000Z", "freeformTags", "definedTags"));
    }
    lab_oci_page(r, a, all);
}

static const struct lab_route IDENTITY[] = {
    {"GET", "/20160918/compartments", compartments},
    {"GET", "/20160918/compartments/", compartments},
    {"GET", "/20160918/policies", lab_policy_list},
    {"GET", "/20160918/policies/", lab_policy_list},
    {"POST", "/20160918/policies", lab_policy_create},
    {"POST", "/20160918/policies/", lab_policy_create},
    {"GET", "/20160918/policies/{}", lab_policy_get},
    {"PUT", "/20160918/policies/{}", lab_policy_update},
    {"DELETE", "/20160918/policies/{}", lab_policy_delete},
    {NULL, NULL, NULL},
};
static const struct lab_route CORE[] = {
    {"GET", "/20160918/vcns", vcns},
    {"GET", "/20160918/vcns/", vcns},
    {NULL, NULL, NULL},
};
const struct lab_service lab_identity = {"identity", IDENTITY, lab_oci_guard, lab_oci_status,
                                         lab_oci_finish};
const struct lab_service lab_core = {"core", CORE, lab_oci_guard, lab_oci_status, lab_oci_finish};
