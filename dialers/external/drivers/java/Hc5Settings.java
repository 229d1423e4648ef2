package kabench;

import java.time.Duration;
import java.util.concurrent.TimeUnit;
import org.apache.hc.client5.http.config.ConnectionConfig;
import org.apache.hc.client5.http.config.RequestConfig;
import org.apache.hc.core5.pool.PoolConcurrencyPolicy;
import org.apache.hc.core5.pool.PoolReusePolicy;
import org.apache.hc.core5.util.TimeValue;
import org.apache.hc.core5.util.Timeout;

/** The settings that Apache HttpClient 5 has for its classic and its asynchronous client. */
final class Hc5Settings {
    /** Describes the settings. The two clients differ in when they look at idle connections. */
    static Kit describe(Kit kit, Integer validateAfterInactivity) {
        return kit.count("maxConnPerRoute", 5, "max_conns")
                .count("maxConnTotal", 25, "max_conns_all")
                .text("connPoolPolicy", "LIFO", "lease_order", "LIFO", "FIFO")
                .word("connPoolPolicy", "lifo", "LIFO")
                .word("connPoolPolicy", "fifo", "FIFO")
                .text("poolConcurrencyPolicy", "STRICT", null, "STRICT", "LAX")
                .duration("connectionRequestTimeout", 180_000, "pending_timeout")
                .duration("connectionKeepAlive", 180_000, "idle_timeout")
                .duration("idleTimeout", null, null)
                .duration("timeToLive", null, "max_lifetime")
                .duration("validateAfterInactivity", validateAfterInactivity, "probe_after")
                .duration("evictIdleConnections", null, null)
                .bool("evictExpiredConnections", false)
                .bool("disableAutomaticRetries", false)
                .duration("connectTimeout", 180_000, "connect_timeout")
                .duration("responseTimeout", null, "response_timeout")
                .gauges("active", "idle", "pending");
    }

    /** Returns the request's part of the settings. */
    static RequestConfig request(Config config) throws Exception {
        RequestConfig.Builder b = RequestConfig.custom();
        config.on("connectionRequestTimeout", (Duration d) -> b.setConnectionRequestTimeout(timeout(d)));
        config.on("connectionKeepAlive", (Duration d) -> b.setConnectionKeepAlive(d == null ? TimeValue.NEG_ONE_MILLISECOND : time(d)));
        config.on("responseTimeout", (Duration d) -> b.setResponseTimeout(timeout(d)));
        return b.build();
    }

    /** Returns the connection's part of the settings. */
    static ConnectionConfig connection(Config config) throws Exception {
        ConnectionConfig.Builder b = ConnectionConfig.custom();
        config.on("idleTimeout", (Duration d) -> b.setIdleTimeout(timeout(d)));
        config.on("timeToLive", (Duration d) -> b.setTimeToLive(d == null ? TimeValue.NEG_ONE_MILLISECOND : time(d)));
        config.on("validateAfterInactivity", (Duration d) -> b.setValidateAfterInactivity(d == null ? TimeValue.NEG_ONE_MILLISECOND : time(d)));
        config.on("connectTimeout", (Duration d) -> b.setConnectTimeout(timeout(d)));
        return b.build();
    }

    static int most(Config config, String name) throws Exception {
        Integer n = config.get(name);
        return n == null ? Integer.MAX_VALUE : n;
    }

    static PoolReusePolicy order(Config config) throws Exception {
        return PoolReusePolicy.valueOf(config.get("connPoolPolicy"));
    }

    static PoolConcurrencyPolicy policy(Config config) throws Exception {
        return PoolConcurrencyPolicy.valueOf(config.get("poolConcurrencyPolicy"));
    }

    static TimeValue time(Duration d) {
        return TimeValue.of(d.toMillis(), TimeUnit.MILLISECONDS);
    }

    private static Timeout timeout(Duration d) {
        return d == null ? Timeout.DISABLED : Timeout.of(d.toMillis(), TimeUnit.MILLISECONDS);
    }
}
