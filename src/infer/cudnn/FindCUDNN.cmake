# FindCUDNN: cuDNN 9 by CUDNN_ROOT (variable or environment), CUDNN_PATH, or beside the CUDA Toolkit. Target CUDNN::cudnn is the small
# library that loads the others on demand: linking those too would only make every start slower.
include(FindPackageHandleStandardArgs)
find_path(CUDNN_INCLUDE_DIR NAMES cudnn_version.h
    HINTS ${CUDNN_ROOT} ENV CUDNN_ROOT ENV CUDNN_PATH ${CUDAToolkit_INCLUDE_DIRS}
    PATH_SUFFIXES include include/x86_64-linux-gnu)
find_library(CUDNN_LIBRARY NAMES cudnn libcudnn.so.9
    HINTS ${CUDNN_ROOT} ENV CUDNN_ROOT ENV CUDNN_PATH ${CUDAToolkit_LIBRARY_DIR}
    PATH_SUFFIXES lib lib64 lib/x86_64-linux-gnu)
mark_as_advanced(CUDNN_INCLUDE_DIR CUDNN_LIBRARY)
if(CUDNN_INCLUDE_DIR)
    set(CUDNN_VERSION "")
    foreach(part MAJOR MINOR PATCHLEVEL)
        file(STRINGS "${CUDNN_INCLUDE_DIR}/cudnn_version.h" line REGEX "^#define CUDNN_${part} +[0-9]+" LIMIT_COUNT 1)
        string(REGEX REPLACE "^#define CUDNN_${part} +([0-9]+).*" "\\1" number "${line}")
        list(APPEND CUDNN_VERSION ${number})
    endforeach()
    string(REPLACE ";" "." CUDNN_VERSION "${CUDNN_VERSION}")
endif()
find_package_handle_standard_args(CUDNN REQUIRED_VARS CUDNN_LIBRARY CUDNN_INCLUDE_DIR VERSION_VAR CUDNN_VERSION)
if(CUDNN_FOUND AND NOT TARGET CUDNN::cudnn)
    add_library(CUDNN::cudnn UNKNOWN IMPORTED)
    set_target_properties(CUDNN::cudnn PROPERTIES IMPORTED_LOCATION "${CUDNN_LIBRARY}" INTERFACE_INCLUDE_DIRECTORIES "${CUDNN_INCLUDE_DIR}")
endif()
