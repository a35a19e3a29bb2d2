# RP_WARNINGS([FLAGS]): puts those of FLAGS that the compiler takes into WARN_CFLAGS; --enable-werror makes them errors.
AC_DEFUN([RP_WARNINGS], [
  AC_ARG_ENABLE([werror], [AS_HELP_STRING([--enable-werror], [treat compiler warnings as errors])])
  WARN_CFLAGS=
  for rp_flag in $1; do
    rp_saved_CFLAGS=$CFLAGS
    CFLAGS="$CFLAGS -Werror $rp_flag"
    AC_MSG_CHECKING([whether $CC takes $rp_flag])
    AC_COMPILE_IFELSE([AC_LANG_PROGRAM([])],
      [AC_MSG_RESULT([yes])
       WARN_CFLAGS="$WARN_CFLAGS $rp_flag"],
      [AC_MSG_RESULT([no])])
    CFLAGS=$rp_saved_CFLAGS
  done
  AS_IF([test "x$enable_werror" = xyes], [WARN_CFLAGS="$WARN_CFLAGS -Werror"])
  AC_SUBST([WARN_CFLAGS])
])
