/* SPDX-License-Identifier: Apache-2.0
 *
 * Own code because strptime() and strftime() follow the locale, and strptime() is
 * lenient about white space, digits and the day of the week. */
#include "httpdate.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

bool kw_httpdate_print(int64_t t, char out[KW_HTTPDATE])
{
    time_t when = (time_t)t;
    struct tm tm;
    out[0] = '\0';
    if (t < 0 || t > INT64_C(253402300799) || gmtime_r(&when, &tm) == NULL)
        return false;
    /* The unsigned casts and bounds tell the compiler that it fits. */
    (void)snprintf(out, KW_HTTPDATE, "%s, %02u %s %04u %02u:%02u:%02u GMT", days[tm.tm_wday],
                   (unsigned)tm.tm_mday % 100, months[tm.tm_mon],
                   ((unsigned)tm.tm_year + 1900) % 10000, (unsigned)tm.tm_hour % 100,
                   (unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100);
    return true;
}

/* n digits at p as a number, -1 if one of them is none. */
static int digits(const char *p, size_t n)
{
    int v = 0;
    for (size_t i = 0; i < n; i++) {
        if (p[i] < '0' || p[i] > '9')
            return -1;
        v = v * 10 + (p[i] - '0');
    }
    return v;
}

bool kw_httpdate_parse(const char *text, int64_t *ret)
{
    /* A valid date is the only text that prints back to itself, so that every
     * separator, name and impossible day is checked by one comparison. */
    if (strlen(text) != KW_HTTPDATE - 1)
        return false;
    struct tm tm = {.tm_mday = digits(text + 5, 2),
                    .tm_mon = -1,
                    .tm_year = digits(text + 12, 4) - 1900,
                    .tm_hour = digits(text + 17, 2),
                    .tm_min = digits(text + 20, 2),
                    .tm_sec = digits(text + 23, 2)};
    for (int i = 0; i < 12; i++)
        if (memcmp(text + 8, months[i], 3) == 0)
            tm.tm_mon = i;
    if (tm.tm_mday < 1 || tm.tm_mon < 0 || tm.tm_year < 70 || tm.tm_hour < 0 || tm.tm_min < 0 ||
        tm.tm_sec < 0)
        return false;
    char again[KW_HTTPDATE];
    int64_t t = timegm(&tm);
    if (!kw_httpdate_print(t, again) || strcmp(again, text) != 0)
        return false;
    *ret = t;
    return true;
}
