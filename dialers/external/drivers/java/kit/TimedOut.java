package kabench;

/** Says that kabench's limit of the whole call has passed. It is no word of the client's. */
final class TimedOut extends Exception {
    private static final long serialVersionUID = 1;

    TimedOut(long millis) {
        super("the driver gave the call up after kabench's timeout of " + millis + " ms", null, false, false);
    }
}
