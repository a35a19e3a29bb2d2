# RP_MPI: finds the MPI to build with, into MPI_CFLAGS and MPI_LIBS, and what starts its programs, into MPIRUN; MPI_NAME is
# openmpi, mpich or other.  The compiler is CC in any case: of a wrapper only the flags are taken.
AC_DEFUN([RP_MPI], [
  AC_ARG_WITH([mpi], [AS_HELP_STRING([--with-mpi=MODULE],
    [pkg-config's name of the MPI to build with: ompi-c, mpich (default: the first of these that is there)])],
    [], [with_mpi=])
  AC_ARG_VAR([MPICC], [wrapper compiler of the MPI to build with, instead of pkg-config])
  AC_ARG_VAR([MPIRUN], [what starts programs of that MPI, for the tests])
  AS_CASE([$with_mpi], [yes], [with_mpi=], [no], [AC_MSG_ERROR([--without-mpi: rankpool needs MPI])])
  AS_IF([test -n "$MPICC"],
    [AS_IF([test -n "$with_mpi"], [AC_MSG_ERROR([MPICC and --with-mpi: only one of them can say which MPI to take])])
     RP_MPI_WRAPPER],
    [test -n "$with_mpi"], [PKG_CHECK_MODULES([MPI], [$with_mpi])],
    [PKG_CHECK_MODULES([MPI], [ompi-c], [], [PKG_CHECK_MODULES([MPI], [mpich])])])
  RP_MPI_TRY
  RP_MPI_RUN
])

# What the wrapper says that it would run: Open MPI and MPICH and all that came from them know -show.
AC_DEFUN([RP_MPI_WRAPPER], [
  AC_MSG_CHECKING([which flags $MPICC gives])
  rp_shown=`$MPICC -show 2>/dev/null` || AC_MSG_ERROR([$MPICC -show failed; give MPI_CFLAGS and MPI_LIBS instead of MPICC])
  rp_cflags= rp_libs=
  for rp_word in $rp_shown; do
    AS_CASE([$rp_word],
      [-I*|-D*], [rp_cflags="$rp_cflags $rp_word"],
      [-L*|-l*|-Wl,*], [rp_libs="$rp_libs $rp_word"],
      [-pthread], [rp_cflags="$rp_cflags $rp_word" rp_libs="$rp_libs $rp_word"])
  done
  AS_VAR_SET_IF([MPI_CFLAGS], [], [MPI_CFLAGS=$rp_cflags])
  AS_VAR_SET_IF([MPI_LIBS], [], [MPI_LIBS=$rp_libs])
  AC_SUBST([MPI_CFLAGS])
  AC_SUBST([MPI_LIBS])
  AC_MSG_RESULT([$MPI_CFLAGS $MPI_LIBS])
])

AC_DEFUN([RP_MPI_TRY], [
  rp_saved_CFLAGS=$CFLAGS rp_saved_LIBS=$LIBS
  CFLAGS="$CFLAGS $MPI_CFLAGS" LIBS="$LIBS $MPI_LIBS"
  AC_MSG_CHECKING([whether this is an MPI of version 3.1])
  AC_LINK_IFELSE([AC_LANG_PROGRAM([[
#include <mpi.h>
#if MPI_VERSION * 10 + MPI_SUBVERSION < 31
#error "too old"
#endif
]], [[MPI_Init(0, 0);]])], [AC_MSG_RESULT([yes])],
    [AC_MSG_RESULT([no])
     AC_MSG_ERROR([no program could be made with MPI 3.1 and $MPI_CFLAGS $MPI_LIBS])])
  MPI_NAME=other
  AC_COMPILE_IFELSE([AC_LANG_PROGRAM([[
#include <mpi.h>
#ifndef OPEN_MPI
#error "another"
#endif
]], [])], [MPI_NAME=openmpi])
  AC_COMPILE_IFELSE([AC_LANG_PROGRAM([[
#include <mpi.h>
#ifndef MPICH_VERSION
#error "another"
#endif
]], [])], [MPI_NAME=mpich])
  CFLAGS=$rp_saved_CFLAGS LIBS=$rp_saved_LIBS
  AC_SUBST([MPI_NAME])
])

# The mpirun in PATH may be another MPI's: programs would then all be rank 0 of 1.
AC_DEFUN([RP_MPI_RUN], [
  AC_MSG_CHECKING([for what starts programs of this MPI])
  AS_IF([test -z "$MPIRUN"],
    [AS_CASE([$MPI_NAME],
       [openmpi], [rp_names="mpirun.openmpi mpirun mpiexec" rp_sign="Open MPI|OpenRTE"],
       [mpich], [rp_names="mpiexec.mpich mpiexec.hydra mpiexec mpirun" rp_sign=HYDRA],
       [rp_names="mpiexec mpirun" rp_sign=])
     AS_CASE([$MPICC], [*/*], [rp_path=`AS_DIRNAME(["$MPICC"])`:$PATH], [rp_path=$PATH])
     for rp_name in $rp_names; do
       rp_found=`PATH=$rp_path; command -v $rp_name` || continue
       AS_IF(["$rp_found" --version 2>/dev/null </dev/null | grep -E "$rp_sign" >/dev/null], [MPIRUN=$rp_found; break])
     done])
  AC_MSG_RESULT([${MPIRUN:-none}])
  AS_IF([test -z "$MPIRUN"], [AC_MSG_WARN([no mpirun of this MPI: make check will fail])])
])
