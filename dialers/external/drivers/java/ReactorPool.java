package kabench;

import io.netty.channel.ChannelOption;
import io.netty.handler.ssl.util.InsecureTrustManagerFactory;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import reactor.netty.http.Http11SslContextSpec;
import reactor.netty.http.client.HttpClient;
import reactor.netty.resources.ConnectionPoolMetrics;
import reactor.netty.resources.ConnectionProvider;

/** Reactor Netty's settings, and a client with a pool of its own that is made of them. */
final class ReactorPool implements ConnectionProvider.MeterRegistrar {
    final HttpClient client;
    private final ConnectionProvider provider;
    private final Map<String, ConnectionPoolMetrics> pools = new ConcurrentHashMap<>();

    /** Describes the settings. The caps depend on how the provider is made. */
    static Kit describe(Kit kit, int maxConnections, int pendingMax) {
        return kit.count("maxConnections", maxConnections, "max_conns")
                .count("pendingAcquireMaxCount", pendingMax, "pending_max")
                .duration("pendingAcquireTimeout", ConnectionProvider.DEFAULT_POOL_ACQUIRE_TIMEOUT, "pending_timeout")
                .text("leasingStrategy", "fifo", "lease_order", "fifo", "lifo")
                .duration("maxIdleTime", null, "idle_timeout")
                .duration("maxLifeTime", null, "max_lifetime")
                .duration("evictInBackground", null, "sweep_every")
                .duration("CONNECT_TIMEOUT_MILLIS", 30_000, "connect_timeout")
                .duration("responseTimeout", null, "response_timeout")
                .bool("disableRetry", false)
                .gauges("active", "idle", "pending");
    }

    ReactorPool(Config config) throws Exception {
        Integer most = config.get("maxConnections");
        Integer pending = config.get("pendingAcquireMaxCount");
        // What HttpClient.create() makes for itself, with the same values, as one that can be
        // closed; the registrar reads its gauges.
        ConnectionProvider.Builder pool = ConnectionProvider.builder("kabench")
                .maxConnections(most == null ? Integer.MAX_VALUE : most)
                .pendingAcquireMaxCount(pending == null ? -1 : pending)
                .metrics(true, () -> this);
        config.on("pendingAcquireTimeout", (Duration d) -> pool.pendingAcquireTimeout(orZero(d)));
        config.on("leasingStrategy", (String s) -> {
            if (s.equals("lifo")) {
                pool.lifo();
            } else {
                pool.fifo();
            }
        });
        config.on("maxIdleTime", (Duration d) -> {
            if (d != null) {
                pool.maxIdleTime(d);
            }
        });
        config.on("maxLifeTime", (Duration d) -> {
            if (d != null) {
                pool.maxLifeTime(d);
            }
        });
        config.on("evictInBackground", (Duration d) -> pool.evictInBackground(orZero(d)));
        provider = pool.build();
        client = client(HttpClient.create(provider), config);
    }

    private static HttpClient client(HttpClient made, Config config) throws Exception {
        HttpClient[] client = {made};
        config.on("CONNECT_TIMEOUT_MILLIS", (Duration d) -> client[0] = client[0].option(ChannelOption.CONNECT_TIMEOUT_MILLIS, (int) orZero(d).toMillis()));
        config.on("responseTimeout", (Duration d) -> client[0] = client[0].responseTimeout(d));
        config.on("disableRetry", (Boolean off) -> client[0] = client[0].disableRetry(off));
        if (!config.insecure) {
            return client[0];
        }
        Http11SslContextSpec any = Http11SslContextSpec.forClient().configure(b -> b.trustManager(InsecureTrustManagerFactory.INSTANCE).endpointIdentificationAlgorithm(null));
        return client[0].secure(spec -> spec.sslContext(any));
    }

    private static Duration orZero(Duration d) {
        return d == null ? Duration.ZERO : d;
    }

    @Override
    public void registerMetrics(String poolName, String id, java.net.SocketAddress remote, ConnectionPoolMetrics metrics) {
        pools.put(id + remote, metrics);
    }

    @Override
    public void deRegisterMetrics(String poolName, String id, java.net.SocketAddress remote) {
        pools.remove(id + remote);
    }

    long[] gauges() {
        long[] sum = new long[3];
        for (ConnectionPoolMetrics m : pools.values()) {
            sum[0] += m.acquiredSize();
            sum[1] += m.idleSize();
            sum[2] += m.pendingAcquireSize();
        }
        return sum;
    }

    void close() {
        provider.disposeLater().block(Duration.ofSeconds(1));
    }
}
