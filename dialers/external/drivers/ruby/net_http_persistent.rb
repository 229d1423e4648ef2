# Net::HTTP::Persistent of net-http-persistent: one object for all threads, with its pool. Its version is the machine's.

require "openssl"
require "uri"
require "net/http/persistent"
require_relative "kit"

class NetHTTPPersistent
  attr_reader :name, :client, :version, :order

  def initialize
    @name, @client, @order = "net-http-persistent", "net-http-persistent", :last
    @version = Net::HTTP::Persistent::VERSION
  end

  def settings
    [
      Kit.setting("pool_size", "count", Net::HTTP::Persistent::DEFAULT_POOL_SIZE, pool: "max_conns_all", least: 1),
      Kit.setting("idle_timeout", "duration", 5000, pool: "idle_timeout"),
      Kit.setting("max_requests", "count", nil, pool: "max_requests", least: 1),
      Kit.setting("open_timeout", "duration", 60_000, pool: "connect_timeout", least: 1), # of Net::HTTP
      Kit.setting("read_timeout", "duration", 60_000, pool: "response_timeout", least: 1), # of Net::HTTP
      *(Net::HTTP::Persistent.method_defined?(:max_retries=) ? [Kit.setting("max_retries", "count", 1, off: false)] : [])
    ]
  end

  def open(settings, insecure)
    size = settings["pool_size"] || (65_536 if settings.key?("pool_size")) # a server has no more ports
    http = Net::HTTP::Persistent.new(name: "kabench", **(size ? { pool_size: size } : {}))
    http.verify_mode = OpenSSL::SSL::VERIFY_NONE if insecure
    settings.each do |name, value|
      next if name == "pool_size"

      value = Kit.seconds(value) || (name == "idle_timeout" ? nil : Kit::LONGEST) if name.end_with?("_timeout")
      http.public_send("#{name}=", value)
    end
    @http = http
  end

  def send_request(method, url, headers, body)
    uri = URI(url)
    response = @http.request(uri, Kit.request(method, uri, headers, body))
    [response.code.to_i, response.body.to_s.bytesize]
  end

  def close
    @http&.shutdown
  end
end

Kit::Runner.new(NetHTTPPersistent.new).run
