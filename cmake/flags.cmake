# SPDX-License-Identifier: Apache-2.0
# Warnings are errors; hardened flags as the OpenSSF guide has them. ci/check-hardening
# looks at the binaries, because a flag here proves nothing.
add_compile_options(-Wall -Wextra -Wconversion -Wshadow -Werror -Wformat=2 -Wstrict-prototypes
  -Wmissing-prototypes -Wcast-qual -Wpointer-arith -Wvla -Wundef -fno-strict-aliasing
  -fno-delete-null-pointer-checks -fno-common)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
add_link_options(-Wl,--as-needed)
add_compile_options(-ffile-prefix-map=${CMAKE_SOURCE_DIR}=.)

if(KW_SANITIZE)
  add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -g)
  add_link_options(-fsanitize=address,undefined)
  add_compile_definitions(KW_SANITIZE=1)
else()
  add_compile_options(-fstack-protector-strong -fstack-clash-protection -ftrivial-auto-var-init=zero)
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64")
    add_compile_options(-fcf-protection=full)
  elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64")
    add_compile_options(-mbranch-protection=standard)
  endif()
  if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
    add_compile_options(-fzero-call-used-regs=used-gpr)
  endif()
  add_link_options(-pie -Wl,-z,relro,-z,now,-z,noexecstack)
  if(NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
    add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3)
  endif()
endif()
