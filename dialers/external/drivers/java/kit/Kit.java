package kabench;

import java.io.BufferedReader;
import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentLinkedDeque;
import java.util.concurrent.Executor;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.ThreadFactory;
import java.util.concurrent.TimeUnit;

/**
 * Speaks kabench's protocol, version 1, for a driver in Java: it reads frames from stdin on one
 * thread, and a second thread writes frames to stdout. What a driver adds is what its client can
 * set, and how the client is made and called.
 */
public final class Kit {
    /** A client with a pool of its own. */
    public interface Client extends AutoCloseable {
        /**
         * Starts the call, and returns at once if the client is asynchronous. A blocking client
         * (see {@link Kit#blocking}) makes the call. What it throws is the call's error.
         */
        void call(Call call) throws Exception;

        /** Returns the gauges that were named with {@link Kit#gauges}, in that order. */
        default long[] gauges() {
            return new long[0];
        }

        @Override
        void close() throws Exception;
    }

    /** Makes a client with a fresh pool. */
    public interface Maker {
        Client make(Config config) throws Exception;
    }

    /** How often the calls are looked at whose time may be up. */
    private static final long TICK_MS = 5;

    /** How long a client may take to close; kabench waits 5 s in all. */
    private static final long CLOSE_MS = 2000;

    private final Map<String, Object> hello = new LinkedHashMap<>();
    private final Map<String, Config.Setting> settings = new LinkedHashMap<>();
    private final Writer out = new Writer(new FileOutputStream(FileDescriptor.out));
    private final ConcurrentLinkedDeque<Call> open = new ConcurrentLinkedDeque<>(); // in the order of their starts
    private final ScheduledExecutorService timer = Executors.newSingleThreadScheduledExecutor(daemon("timer"));
    private final Executor canceller = Executors.newSingleThreadExecutor(daemon("cancel")); // a client may take long over it
    private List<String> gauges = List.of();
    private ScheduledFuture<?> gaugesTimer;
    private Executor threads = Runnable::run;
    private Client client;
    private long timeout; // nanoseconds; 0: none

    private Kit(String driver, String client, String version) {
        System.setOut(System.err); // stdout carries frames only
        hello.put("type", "hello");
        hello.put("protocol", 1);
        hello.put("driver", driver);
        hello.put("client", client);
        hello.put("version", version);
        hello.put("runtime", "Java " + System.getProperty("java.version"));
    }

    /** Begins the description of a driver: its name, and its client's name and version. */
    public static Kit driver(String driver, String client, String version) {
        return new Kit(driver, client, version);
    }

    /** Returns the version in the name of the jar that has the class. */
    public static String versionOf(Class<?> c) {
        String jar = c.getProtectionDomain().getCodeSource().getLocation().getPath();
        return jar.replaceAll("^.*?-(\\d[^/]*)\\.jar$", "$1");
    }

    /** Adds a setting with a duration. millis is the client's default, null for none. */
    public Kit duration(String name, Number millis, String pool) {
        return add(name, "duration", millis, pool);
    }

    /** Adds a setting with a whole number. */
    public Kit count(String name, Integer value, String pool) {
        return add(name, "count", value, pool);
    }

    /** Adds a setting that is on or off. */
    public Kit bool(String name, boolean value) {
        return add(name, "bool", value, null);
    }

    /** Adds a setting with one of several words. */
    public Kit text(String name, String value, String pool, String... values) {
        add(name, "text", value, pool);
        settings.get(name).values.addAll(Arrays.asList(values));
        return this;
    }

    /** Maps kabench's word for the last setting to the client's. */
    public Kit word(String setting, String kabench, String own) {
        settings.get(setting).words.put(kabench, own);
        return this;
    }

    private Kit add(String name, String kind, Object value, String pool) {
        settings.put(name, new Config.Setting(name, kind, value, pool));
        return this;
    }

    /** Names the gauges that the client has. */
    public Kit gauges(String... names) {
        gauges = List.of(names);
        return this;
    }

    /** Says that a call blocks its thread. Each call gets one at once, however many there are. */
    public Kit blocking() {
        threads = Executors.newCachedThreadPool(daemon("call"));
        return this;
    }

    /** Speaks until kabench says bye or is gone. */
    public void run(Maker maker) throws IOException {
        List<Object> all = new ArrayList<>();
        settings.values().forEach(s -> all.add(s.describe()));
        hello.put("settings", all);
        hello.put("gauges", gauges);
        out.send(hello);
        timer.scheduleWithFixedDelay(this::giveUpOld, TICK_MS, TICK_MS, TimeUnit.MILLISECONDS);
        FileInputStream in = new FileInputStream(FileDescriptor.in);
        BufferedReader lines = new BufferedReader(new InputStreamReader(in, StandardCharsets.UTF_8), 1 << 16);
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            Map<?, ?> frame = (Map<?, ?>) Json.parse(line);
            String type = String.valueOf(frame.get("type"));
            if (type.equals("dispatch")) {
                dispatch(new Call(frame, out));
            } else if (type.equals("clock")) {
                out.send(Map.of("type", "clock", "now", System.nanoTime()));
            } else if (type.equals("config")) {
                configure(maker, frame);
            } else if (type.equals("bye")) {
                close(CLOSE_MS);
                out.sendLast(Map.of("type", "bye"));
                break;
            }
        }
        Runtime.getRuntime().halt(0); // calls in flight are given up
    }

    private void dispatch(Call call) {
        Client to = client;
        if (timeout > 0) {
            call.expires = call.received + timeout;
            open.add(call);
        }
        try {
            threads.execute(() -> {
                try {
                    if (to == null) {
                        throw new IllegalStateException("kabench sent a request before its config");
                    }
                    call.begin();
                    to.call(call);
                } catch (Throwable e) {
                    call.failed(e);
                }
            });
        } catch (Throwable e) { // the machine has no thread left
            call.failed(e);
        }
    }

    private void configure(Maker maker, Map<?, ?> frame) {
        close(CLOSE_MS);
        try {
            Config config = new Config(frame, settings, (String) hello.get("client"));
            client = maker.make(config);
            timeout = config.timeout.toNanos();
            long every = config.gauges.toMillis();
            if (every > 0 && !gauges.isEmpty()) {
                gaugesTimer = timer.scheduleAtFixedRate(() -> sendGauges(client), every, every, TimeUnit.MILLISECONDS);
            }
            out.send(Map.of("type", "ready"));
        } catch (Throwable e) {
            Config.Refused refused = e instanceof Config.Refused r ? r : new Config.Refused("", e);
            out.send(Map.of("type", "refused", "setting", refused.setting, "text", refused.getMessage()));
        }
    }

    /** Closes the client, if there is one. A client that takes too long is left to itself. */
    private void close(long millis) {
        if (gaugesTimer != null) {
            gaugesTimer.cancel(false);
        }
        Client old = client;
        client = null;
        if (old == null) {
            return;
        }
        Thread closer = daemon("close").newThread(() -> {
            try {
                old.close();
            } catch (Exception e) {
                e.printStackTrace();
            }
        });
        closer.start();
        try {
            closer.join(millis);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /** Gives up the calls whose time is up. Calls are in the order in which it ends. */
    private void giveUpOld() {
        long now = System.nanoTime();
        for (Call c = open.peek(); c != null && (c.over() || now - c.expires >= 0); c = open.peek()) {
            open.poll();
            if (c.giveUp(timeout / 1_000_000)) {
                canceller.execute(c::cancel);
            }
        }
    }

    private void sendGauges(Client of) {
        try {
            Map<String, Object> values = new LinkedHashMap<>();
            long at = System.nanoTime();
            long[] now = of.gauges();
            for (int i = 0; i < now.length; i++) {
                values.put(gauges.get(i), now[i]);
            }
            out.send(Map.of("type", "gauges", "at", at, "values", values));
        } catch (RuntimeException e) {
            e.printStackTrace(); // the client may be closing
        }
    }

    private static ThreadFactory daemon(String name) {
        return work -> {
            Thread t = new Thread(work, "kabench-" + name);
            t.setDaemon(true);
            return t;
        };
    }
}
