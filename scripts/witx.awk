# Reduces wasi_snapshot_preview1.witx to the functions that use descriptors of files or paths.
# A function is a block that begins at `  (@interface func` and ends at `  )`; its comments precede it.
/^  ;;;/ { comments = comments $0 "\n"; next }
/^  \(@interface func/ {
    keep = $0 ~ /"(fd_|path_|poll_oneoff)/
    block = 1
}
block {
    if (keep) printf "%s%s\n", comments, $0
    comments = ""
    if ($0 == "  )") block = 0
    next
}
{ printf "%s%s\n", comments, $0; comments = "" }
