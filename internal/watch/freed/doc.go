// Package freed hears what the kernel says about each TCP socket as it frees it: the group
// SKNLGRP_INET_TCP_DESTROY of sock_diag(7), which needs no privilege. So the bytes and the
// times of a connection's end are known that ended between two looks.
package freed
