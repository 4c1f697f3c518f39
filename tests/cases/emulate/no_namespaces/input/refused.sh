# In a user namespace that allows no other, and without the capabilities that mounts need.
exec unshare --user --map-root-user sh -c '
    echo 0 >/proc/sys/user/max_user_namespaces
    exec setpriv --inh-caps=-all --bounding-set=-all cargo-compat compat test "$@"
' sh "$@"
