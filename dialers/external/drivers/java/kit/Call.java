package kabench;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicBoolean;

/** A request that the client must send, and what came of it. */
public final class Call {
    /** The deepest chain of causes that is reported. */
    private static final int MOST_CAUSES = 8;

    private static final Map<Integer, byte[]> BODIES = new ConcurrentHashMap<>();

    public final String method;
    public final String url;
    public final List<String[]> headers = new ArrayList<>(); // names and values
    public final int size; // of the body in bytes; 0: none

    final long received = System.nanoTime();
    volatile long expires; // when its time is up, if it ever is

    private final Object seq;
    private final Writer out;
    private final AtomicBoolean over = new AtomicBoolean();
    private volatile long called = received;
    private volatile int status;
    private volatile long bytes;
    private volatile Runnable cancel;

    Call(Map<?, ?> frame, Writer out) {
        this.out = out;
        seq = frame.get("seq");
        method = (String) frame.get("method");
        url = (String) frame.get("url");
        if (frame.get("headers") instanceof List<?> list) {
            for (Object h : list) {
                List<?> header = (List<?>) h;
                headers.add(new String[] {(String) header.get(0), (String) header.get(1)});
            }
        }
        size = frame.get("body") instanceof Number n ? n.intValue() : 0;
    }

    /** Returns the body that must be sent. Nobody may change it. */
    public byte[] body() {
        return BODIES.computeIfAbsent(size, n -> {
            byte[] body = new byte[n];
            Arrays.fill(body, (byte) 'x');
            return body;
        });
    }

    /** Says that the client's own call is made now; to be called just before it. */
    public void begin() {
        called = System.nanoTime();
    }

    /** Says how the call is given up when its time is up. */
    public void onTimeout(Runnable cancel) {
        this.cancel = cancel;
    }

    /** Says which status the response has. */
    public void status(int status) {
        this.status = status;
    }

    /** Says that bytes of the response's body were read. One thread at a time. */
    @SuppressWarnings("NonAtomicOperationOnVolatileField")
    public void read(long n) {
        bytes += n;
    }

    /** Says that the whole response was read. */
    public void done() {
        finish(null);
    }

    /** Says that the client gave its caller this error. */
    public void failed(Throwable error) {
        finish(error);
    }

    boolean over() {
        return over.get();
    }

    /** Gives the call up, unless it is over. Says whether it did. */
    boolean giveUp(long afterMillis) {
        return !over() && finish(new TimedOut(afterMillis));
    }

    /** Makes the client give the call up. */
    void cancel() {
        if (cancel != null) {
            cancel.run();
        }
    }

    private boolean finish(Throwable error) {
        long finished = System.nanoTime();
        if (!over.compareAndSet(false, true)) {
            return false; // it was given up
        }
        Map<String, Object> frame = new LinkedHashMap<>();
        frame.put("type", "done");
        frame.put("seq", seq);
        frame.put("received", received);
        frame.put("called", called);
        frame.put("finished", finished);
        frame.put("status", error == null ? status : 0);
        frame.put("bytes", bytes);
        if (error != null) {
            Map<String, Object> described = describe(error);
            List<Object> causes = new ArrayList<>();
            for (Throwable c = error.getCause(); c != null && causes.size() < MOST_CAUSES; c = c.getCause()) {
                causes.add(describe(c));
            }
            described.put("causes", causes);
            frame.put("error", described);
        }
        out.send(frame);
        return true;
    }

    private static Map<String, Object> describe(Throwable t) {
        Map<String, Object> error = new LinkedHashMap<>();
        error.put("class", t.getClass().getName());
        error.put("text", t.getMessage() == null ? "" : t.getMessage());
        return error;
    }
}
