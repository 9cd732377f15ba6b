'use strict';
// Every text of the page, in both languages.
const TEXTS = {
  en: {
    lang: 'en', language: 'Language',
    title: 'There is nothing here', nothing: 'This server has no page with this address.',
    home: 'Welcome page', chat: 'Chat', login: 'Log in with your phone',
  },
  zh: {
    lang: 'zh-CN', language: '语言',
    title: '页面不存在', nothing: '本服务器没有该地址对应的页面。',
    home: '首页', chat: '聊天', login: '用手机扫码登录',
  },
};
