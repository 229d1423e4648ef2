package kabench;

import java.io.IOException;
import java.io.InputStream;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManager;
import org.apache.http.HttpEntity;
import org.apache.http.client.config.RequestConfig;
import org.apache.http.client.methods.CloseableHttpResponse;
import org.apache.http.client.methods.HttpUriRequest;
import org.apache.http.client.methods.RequestBuilder;
import org.apache.http.config.Registry;
import org.apache.http.config.RegistryBuilder;
import org.apache.http.conn.socket.ConnectionSocketFactory;
import org.apache.http.conn.socket.PlainConnectionSocketFactory;
import org.apache.http.conn.ssl.NoopHostnameVerifier;
import org.apache.http.conn.ssl.SSLConnectionSocketFactory;
import org.apache.http.entity.ByteArrayEntity;
import org.apache.http.impl.client.CloseableHttpClient;
import org.apache.http.impl.client.HttpClientBuilder;
import org.apache.http.impl.client.HttpClients;
import org.apache.http.impl.conn.PoolingHttpClientConnectionManager;
import org.apache.http.pool.PoolStats;

/** Apache HttpClient 4, which blocks. */
final class Hc4 implements Kit.Client {
    private final CloseableHttpClient client;
    private final PoolingHttpClientConnectionManager pool;

    public static void main(String[] args) throws Exception {
        Kit.driver("apache-hc4", "Apache HttpClient 4", Kit.versionOf(HttpClients.class))
                .count("maxConnPerRoute", 2, "max_conns")
                .count("maxConnTotal", 20, "max_conns_all")
                .duration("connectionRequestTimeout", null, "pending_timeout")
                .duration("keepAliveStrategy", null, "idle_timeout")
                .duration("connectionTimeToLive", null, "max_lifetime")
                .duration("validateAfterInactivity", 2000, "probe_after")
                .duration("evictIdleConnections", null, null)
                .bool("evictExpiredConnections", false)
                .bool("disableAutomaticRetries", false)
                .duration("connectTimeout", null, "connect_timeout")
                .duration("socketTimeout", null, "response_timeout")
                .gauges("active", "idle", "pending")
                .blocking()
                .run(Hc4::new);
    }

    Hc4(Config config) throws Exception {
        Duration life = config.get("connectionTimeToLive");
        pool = new PoolingHttpClientConnectionManager(sockets(config.insecure), null, null, null, life == null ? -1 : life.toMillis(), TimeUnit.MILLISECONDS);
        config.on("maxConnPerRoute", (Integer n) -> pool.setDefaultMaxPerRoute(n == null ? Integer.MAX_VALUE : n));
        config.on("maxConnTotal", (Integer n) -> pool.setMaxTotal(n == null ? Integer.MAX_VALUE : n));
        config.on("validateAfterInactivity", (Duration d) -> pool.setValidateAfterInactivity(d == null ? -1 : (int) d.toMillis()));
        RequestConfig.Builder request = RequestConfig.custom();
        config.on("connectionRequestTimeout", (Duration d) -> request.setConnectionRequestTimeout(orZero(d)));
        config.on("connectTimeout", (Duration d) -> request.setConnectTimeout(orZero(d)));
        config.on("socketTimeout", (Duration d) -> request.setSocketTimeout(orZero(d)));
        HttpClientBuilder b = HttpClients.custom().setConnectionManager(pool).setDefaultRequestConfig(request.build()).disableRedirectHandling().disableCookieManagement();
        config.on("keepAliveStrategy", (Duration d) -> b.setKeepAliveStrategy((response, context) -> d == null ? -1 : d.toMillis()));
        config.on("evictIdleConnections", (Duration d) -> {
            if (d != null) {
                b.evictIdleConnections(d.toMillis(), TimeUnit.MILLISECONDS);
            }
        });
        config.on("evictExpiredConnections", (Boolean on) -> {
            if (on) {
                b.evictExpiredConnections();
            }
        });
        config.on("disableAutomaticRetries", (Boolean on) -> {
            if (on) {
                b.disableAutomaticRetries();
            }
        });
        client = b.build();
    }

    private static Registry<ConnectionSocketFactory> sockets(boolean insecure) throws Exception {
        SSLConnectionSocketFactory tls = SSLConnectionSocketFactory.getSocketFactory();
        if (insecure) {
            SSLContext any = SSLContext.getInstance("TLS");
            any.init(null, new TrustManager[] {new TrustAll()}, new SecureRandom());
            tls = new SSLConnectionSocketFactory(any, NoopHostnameVerifier.INSTANCE);
        }
        return RegistryBuilder.<ConnectionSocketFactory>create().register("http", PlainConnectionSocketFactory.getSocketFactory()).register("https", tls).build();
    }

    private static int orZero(Duration d) {
        return d == null ? 0 : (int) d.toMillis();
    }

    @Override
    public void call(Call call) throws IOException {
        RequestBuilder b = RequestBuilder.create(call.method).setUri(call.url);
        for (String[] h : call.headers) {
            b.addHeader(h[0], h[1]);
        }
        if (call.size > 0) {
            b.setEntity(new ByteArrayEntity(call.body()));
        }
        HttpUriRequest request = b.build();
        call.onTimeout(request::abort);
        call.begin();
        try (CloseableHttpResponse response = client.execute(request)) {
            call.status(response.getStatusLine().getStatusCode());
            drop(call, response.getEntity());
        }
        call.done();
    }

    private static void drop(Call call, HttpEntity entity) throws IOException {
        if (entity == null) {
            return;
        }
        try (InputStream in = entity.getContent()) {
            byte[] part = new byte[8192];
            for (int n = in.read(part); n >= 0; n = in.read(part)) {
                call.read(n);
            }
        }
    }

    @Override
    public long[] gauges() {
        PoolStats s = pool.getTotalStats();
        return new long[] {s.getLeased(), s.getAvailable(), s.getPending()};
    }

    @Override
    public void close() throws IOException {
        client.close();
    }
}
