# SPDX-License-Identifier: Apache-2.0
# Warnings are errors; hardened flags as the OpenSSF compiler hardening guide has them.
# ci/check-hardening looks at the binaries, because a flag here proves nothing.
#
# Known compilers: gcc 12 and 14, clang 14 and 19 (Debian 12 and 13). What only some of
# them have goes through kw_optional(); ci/check-hardening says which of those must be
# in a release.
include(CheckCCompilerFlag)

function(kw_optional)
  foreach(flag ${ARGN})
    string(MAKE_C_IDENTIFIER "KW_HAS${flag}" id)
    set(CMAKE_REQUIRED_FLAGS -Werror)
    check_c_compiler_flag(${flag} ${id})
    if(${id})
      add_compile_options(${flag})
    endif()
  endforeach()
endfunction()

# Without a type there is no optimisation, hence no FORTIFY: not by accident.
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "Debug, RelWithDebInfo, Release" FORCE)
endif()

add_compile_options(-Wall -Wextra -Wconversion -Wshadow -Werror -Wformat=2 -Wstrict-prototypes
  -Wmissing-prototypes -Wold-style-definition -Wcast-qual -Wpointer-arith -Wwrite-strings -Wvla
  -Wundef -Wdate-time)
kw_optional(-Walloca -Wtrampolines -Wbidi-chars=any -Wduplicated-cond -Wlogical-op)

# Defined behaviour where the language leaves none: a check is never optimised away.
add_compile_options(-fno-strict-aliasing -fno-delete-null-pointer-checks -fno-common)
kw_optional(-fstrict-flex-arrays=3)

# No path, no date, no user of the machine gets into a program (claim 35).
add_compile_options(-ffile-prefix-map=${CMAKE_SOURCE_DIR}=.)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_SKIP_RPATH ON)
add_link_options(-Wl,--as-needed)

if(KW_FUZZ) # coverage of all that a target calls, not only of the target itself
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

if(KW_COVERAGE)
  add_compile_options(-fprofile-instr-generate -fcoverage-mapping)
  add_link_options(-fprofile-instr-generate)
endif()

if(KW_MSAN)
  add_compile_options(-fsanitize=memory -fsanitize-memory-track-origins -fno-omit-frame-pointer -g)
  add_link_options(-fsanitize=memory)
elseif(KW_SANITIZE)
  add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -g)
  add_link_options(-fsanitize=address,undefined)
  add_compile_definitions(KW_SANITIZE=1)
else()
  add_compile_options(-fno-strict-overflow -fstack-protector-strong -fstack-clash-protection)
  kw_optional(-ftrivial-auto-var-init=zero -fzero-call-used-regs=used-gpr)
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64")
    add_compile_options(-fcf-protection=full)
  elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64")
    add_compile_options(-mbranch-protection=standard)
  endif()
  add_link_options(-pie -Wl,-z,relro,-z,now,-z,noexecstack -Wl,--no-copy-dt-needed-entries)
  if(NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
    add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3)
  endif()
endif()
