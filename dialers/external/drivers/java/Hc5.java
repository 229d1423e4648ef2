package kabench;

import java.io.InputStream;
import java.security.SecureRandom;
import java.time.Duration;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManager;
import org.apache.hc.client5.http.classic.methods.HttpUriRequestBase;
import org.apache.hc.client5.http.impl.classic.CloseableHttpClient;
import org.apache.hc.client5.http.impl.classic.HttpClientBuilder;
import org.apache.hc.client5.http.impl.classic.HttpClients;
import org.apache.hc.client5.http.impl.io.PoolingHttpClientConnectionManager;
import org.apache.hc.client5.http.impl.io.PoolingHttpClientConnectionManagerBuilder;
import org.apache.hc.client5.http.ssl.DefaultClientTlsStrategy;
import org.apache.hc.client5.http.ssl.NoopHostnameVerifier;
import org.apache.hc.core5.http.HttpEntity;
import org.apache.hc.core5.http.io.entity.ByteArrayEntity;
import org.apache.hc.core5.io.CloseMode;
import org.apache.hc.core5.pool.PoolStats;

/** Apache HttpClient 5, the classic client, which blocks. */
final class Hc5 implements Kit.Client {
    private final CloseableHttpClient client;
    private final PoolingHttpClientConnectionManager pool;

    public static void main(String[] args) throws Exception {
        Kit kit = Kit.driver("apache-hc5", "Apache HttpClient 5", Kit.versionOf(HttpClients.class));
        Hc5Settings.describe(kit, 2000).blocking().run(Hc5::new);
    }

    Hc5(Config config) throws Exception {
        PoolingHttpClientConnectionManagerBuilder b = PoolingHttpClientConnectionManagerBuilder.create()
                .setMaxConnPerRoute(Hc5Settings.most(config, "maxConnPerRoute"))
                .setMaxConnTotal(Hc5Settings.most(config, "maxConnTotal"))
                .setConnPoolPolicy(Hc5Settings.order(config))
                .setPoolConcurrencyPolicy(Hc5Settings.policy(config))
                .setDefaultConnectionConfig(Hc5Settings.connection(config));
        if (config.insecure) {
            SSLContext any = SSLContext.getInstance("TLS");
            any.init(null, new TrustManager[] {new TrustAll()}, new SecureRandom());
            b.setTlsSocketStrategy(new DefaultClientTlsStrategy(any, NoopHostnameVerifier.INSTANCE));
        }
        pool = b.build();
        HttpClientBuilder c = HttpClients.custom().setConnectionManager(pool).setDefaultRequestConfig(Hc5Settings.request(config))
                .disableRedirectHandling().disableCookieManagement();
        config.on("evictIdleConnections", (Duration d) -> {
            if (d != null) {
                c.evictIdleConnections(Hc5Settings.time(d));
            }
        });
        config.on("evictExpiredConnections", (Boolean on) -> {
            if (on) {
                c.evictExpiredConnections();
            }
        });
        config.on("disableAutomaticRetries", (Boolean on) -> {
            if (on) {
                c.disableAutomaticRetries();
            }
        });
        client = c.build();
    }

    @Override
    public void call(Call call) throws Exception {
        HttpUriRequestBase request = new HttpUriRequestBase(call.method, java.net.URI.create(call.url));
        for (String[] h : call.headers) {
            request.addHeader(h[0], h[1]);
        }
        if (call.size > 0) {
            request.setEntity(new ByteArrayEntity(call.body(), null));
        }
        call.onTimeout(request::cancel);
        call.begin();
        client.execute(request, response -> {
            call.status(response.getCode());
            drop(call, response.getEntity());
            return null;
        });
        call.done();
    }

    private static void drop(Call call, HttpEntity entity) throws java.io.IOException {
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
    public void close() {
        client.close(CloseMode.IMMEDIATE);
    }
}
