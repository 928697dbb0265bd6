"""What the gateway's container and Compose read, never we: recognised, so that all can share one ``.env``."""

FOREIGN_KEYS = {
    "IB_USERNAME": "User name of the login at Interactive Brokers.",
    "IB_USERNAME_LIVE": "The same of the live login, which Compose keeps apart.",
    "IB_USERNAME_SECOND": "The same of a second login, whose gateway Compose starts by the profile second.",
    "SECOND_TRADING_MODE": "What that login is for: paper, the default, or live.",
    "SECOND_GATEWAY_PORT": "Its API port: 4004, the default, or 4003 for live.",
    "SECOND_VNC_PORT": "Port of 127.0.0.1 on which Compose shows its screen; 5901 by default.",
    "IB_PASSWORD": "Its password; our Compose file has it from secrets/ib-password instead.",
    "VNC_PASSWORD": "Password of the gateway's screen; likewise from secrets/vnc-password.",
    "VNC_PORT": "Port of 127.0.0.1 on which Compose shows the gateway's screen.",
    "AUTO_RESTART_TIME": "When the gateway restarts itself each day, for example 11:45 PM; Compose makes "
    "GATEWAY_RESTART of it and TZ.",
    "TWOFA_DEVICE": "Second factor that the gateway asks for.",
    "TWOFA_TIMEOUT_ACTION": "What the gateway does when nobody confirms: restart or exit.",
    "RELOGIN_AFTER_TWOFA_TIMEOUT": "Whether it then asks again.",
    "JAVA_HEAP_SIZE": "Memory of the gateway in MB.",
    "TZ": "Time zone of the gateway and of its restart in Compose; the rebalancer itself works in UTC.",
    "COMPOSE_PROFILES": "What Docker Compose starts: paper, live or sandbox; paper or live sets TRADING_MODE too. "
    "paper,second and live,second start a second login's gateway.",
    "COMPOSE_FILE": "Files that Docker Compose reads, where another image's gateway is added.",
    "COMPOSE_PROJECT_NAME": "Name under which Docker Compose keeps the containers.",
    "PYTHON_IMAGE": "Base of our image, if not the one that the Dockerfile names.",
    "POSTGRES_IMAGE": "Image of PostgreSQL, if not the one that the Compose file names.",
    "REDIS_IMAGE": "The same of Redis.",
    "IB_GATEWAY_IMAGE": "The same of the IB Gateway.",
    "REBALANCER_IMAGE": "Our image from a registry, by digest, instead of the one that Compose builds.",
    "REBALANCER_SANDBOX_IMAGE": "The same of the sandbox.",
    "REBALANCER_REDIS_IMAGE": "The same of our Redis.",
}
