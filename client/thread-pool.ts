/*
 * Calls on a mount that hangs keep their threads of libuv's pool for good, and each attempt of a step adds some; four is the default. The
 * lease, the way back and the health endpoint need threads as well. The pool has its size when it is used first: import this before
 * anything else.
 */
process.env['UV_THREADPOOL_SIZE'] ??= '128'
